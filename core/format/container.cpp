#include "core/format/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace precis {
namespace {

constexpr std::string_view kGgufMagic = "GGUF";

Result<ContainerHeader> parse(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 8));
  if (start.starts_with(kGgufMagic)) return parse_gguf(bytes, bytes.size());
  if (start.starts_with("PK") || start.starts_with("\x80\x02")) {
    return Error(ErrorCode::unsupported, "is a pickled PyTorch checkpoint",
                 "save it as safetensors first: pickles run code when they are read");
  }
  return parse_safetensors(bytes, bytes.size());
}

}  // namespace

std::string_view container_format_name(ContainerFormat format) {
  return format == ContainerFormat::gguf ? "gguf" : "safetensors";
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
  return std::shared_ptr<const Container>(
      new Container(path, std::move(file), *std::move(header)));
}

const TensorEntry* Container::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Result<std::span<const std::byte>> Container::data(const TensorEntry& entry) const {
  return file_.bytes().subspan(entry.offset, entry.nbytes);
}

void Container::prefetch(const TensorEntry& entry) const {
  file_.prefetch(entry.offset, entry.nbytes);
}

void Container::release(const TensorEntry& entry) const {
  file_.release(entry.offset, entry.nbytes);
}

}  // namespace precis
