#include "core/format/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/format/layout.h"
#include "core/format/safetensors_rules.h"

namespace precis {
namespace {

Error not_weights(std::string_view what, std::string_view remedy) {
  return Error(ErrorCode::unsupported, std::string(what), std::string(remedy));
}

// A length below the limit and a '{' behind it. No other format begins so, while the bytes of the
// length alone can look like anything: a header of 0x280 bytes starts like a pickle.
bool looks_like_safetensors(std::string_view start) {
  if (start.size() < 9) return false;
  uint64_t size = 0;
  std::memcpy(&size, start.data(), sizeof size);
  if constexpr (std::endian::native == std::endian::big) size = __builtin_bswap64(size);
  return size <= kSafetensorsMaxHeader && (start[8] == '{' || start[8] == ' ');
}

Result<ContainerHeader> parse(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 64));
  if (looks_like_safetensors(start)) return parse_safetensors(bytes, bytes.size());
  if (start.starts_with("GGUF") || start.starts_with("FUGG"))
    return parse_gguf(bytes, bytes.size());
  if (start.empty()) return not_weights("is empty", "fetch it again");
  if (start.starts_with("version https://git-lfs")) {
    return not_weights("is a Git LFS pointer, not the file itself",
                       "run `git lfs pull` in its directory");
  }
  if (start.starts_with("<!DOCTYPE") || start.starts_with("<html")) {
    return not_weights("is a web page, not a file of weights",
                       "fetch it again from the download link");
  }
  if (start.starts_with("PK\x03\x04") ||
      (start.size() > 2 && start[0] == '\x80' && start[1] <= '\x05')) {
    return not_weights("is a pickled PyTorch checkpoint",
                       "save it as safetensors first: pickles run code when they are read");
  }
  return parse_safetensors(bytes, bytes.size());
}

}  // namespace

std::string_view container_format_name(ContainerFormat format) {
  return format == ContainerFormat::gguf ? "gguf" : "safetensors";
}

std::string metadata_text(const nlohmann::ordered_json& metadata) {
  return metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<FileLayout> plan_container(ContainerFormat format, std::span<const PlannedTensor> tensors,
                                  const nlohmann::ordered_json& metadata) {
  return format == ContainerFormat::gguf ? plan_gguf(tensors, metadata)
                                         : plan_safetensors(tensors, metadata);
}

Container::Container(std::filesystem::path path, MappedFile file, ContainerHeader header)
    : path_(std::move(path)), file_(std::move(file)), header_(std::move(header)) {
  by_name_.reserve(header_.tensors.size());
  for (const TensorEntry& entry : header_.tensors) by_name_.emplace(entry.name, &entry);
}

Result<std::shared_ptr<const Container>> Container::open(const std::filesystem::path& path) {
  PRECIS_ASSIGN(MappedFile file, MappedFile::open(path));
  auto header = parse(file.bytes());
  if (!header.ok()) return std::move(header).error().with_context(path.string());
  return std::shared_ptr<const Container>(new Container(path, std::move(file), *std::move(header)));
}

const TensorEntry* Container::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Result<std::span<const std::byte>> Container::data(const TensorEntry& entry) const {
  if (entry.offset > file_.size() || entry.nbytes > file_.size() - entry.offset) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{}: tensor '{}' is not of this file", path_.string(), entry.name));
  }
  return file_.bytes().subspan(entry.offset, entry.nbytes);
}

Result<std::span<std::byte>> Container::writable_data(const TensorEntry& entry) const {
  PRECIS_ASSIGN(const auto bytes, data(entry));
  PRECIS_ASSIGN(const auto file, file_.writable_bytes());
  return file.subspan(entry.offset, bytes.size());
}

void Container::prefetch(const TensorEntry& entry) const {
  file_.prefetch(entry.offset, entry.nbytes);
}

void Container::release(const TensorEntry& entry) const {
  file_.release(entry.offset, entry.nbytes);
}

}  // namespace precis
