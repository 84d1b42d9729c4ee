#include "core/engine/provenance.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/sha256.h"

namespace precis {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string header_digest(const Container& file) {
  Sha256 hash;
  for (const TensorEntry& entry : file.tensors()) {
    hash.update(fmt::format("{}|{}|{}|{}|{};", entry.name, dtype_name(entry.dtype), entry.encoding,
                            entry.offset, entry.nbytes));
  }
  hash.update(metadata_text(file.metadata()));
  return to_hex(hash.finish());
}

// Tells apart models of the same shapes, whose headers are alike, without reading them whole.
Result<std::string> sample_digest(const Container& file) {
  constexpr std::size_t kTensors = 16, kBytes = 4096;
  const auto& tensors = file.tensors();
  const std::size_t count = std::min(kTensors, tensors.size());
  Sha256 hash;
  for (std::size_t i = 0; i < count; ++i) {
    PRECIS_ASSIGN(const auto data, file.data(tensors[i * tensors.size() / count]));
    hash.update(data.first(std::min(kBytes, data.size())));
  }
  return to_hex(hash.finish());
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

bool SourceFile::same_content(const SourceFile& other) const {
  return bytes == other.bytes && header_sha256 == other.header_sha256 &&
         sample_sha256 == other.sample_sha256;
}

Result<SourceFile> describe_source(const Container& file) {
  PRECIS_ASSIGN(std::string sample, sample_digest(file));
  return SourceFile{file.path().filename().string(), file.file_size(), header_digest(file),
                    std::move(sample)};
}

std::string config_digest(const json& config) {
  const std::string text = config.dump();
  return to_hex(sha256(std::as_bytes(std::span(text.data(), text.size()))));
}

std::string Provenance::to_text() const {
  ordered_json files = ordered_json::array();
  for (const SourceFile& file : sources) {
    files.push_back({{"file", file.name},
                     {"bytes", file.bytes},
                     {"header_sha256", file.header_sha256},
                     {"sample_sha256", file.sample_sha256}});
  }
  return ordered_json{{"precis", kVersion},
                      {"plugins", plugins},
                      {"method", method},
                      {"recipe", recipe},
                      {"config_sha256", config_sha256},
                      {"source", files}}
      .dump();
}

std::optional<Provenance> stored_provenance(const Container& file) {
  const json object = json::parse(metadata_string(file, kProvenanceKey), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  Provenance provenance;
  provenance.plugins = object.value("plugins", json::object());
  provenance.recipe = object.value("recipe", json());
  provenance.method = text_of(object, "method");
  provenance.config_sha256 = text_of(object, "config_sha256");
  const json sources = object.value("source", json::array());
  for (const json& source : sources) {
    if (!source.is_object()) continue;
    const json bytes = source.value("bytes", json());
    provenance.sources.push_back(
        {text_of(source, "file"), bytes.is_number_unsigned() ? bytes.get<uint64_t>() : 0,
         text_of(source, "header_sha256"), text_of(source, "sample_sha256")});
  }
  return provenance;
}

std::string metadata_string(const Container& file, std::string_view key) {
  const auto found = file.metadata().find(std::string(key));
  if (found == file.metadata().end()) return {};
  const auto& value = found->is_object() && found->contains("value") ? (*found)["value"] : *found;
  return value.is_string() ? value.get<std::string>() : std::string();
}

}  // namespace precis
