// A file of tensors, open for reading: safetensors or GGUF.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/format/tensor_entry.h"

namespace precis {

enum class ContainerFormat { safetensors, gguf };
std::string_view container_format_name(ContainerFormat format);

// What a header says.
struct ContainerHeader {
  ContainerFormat format = ContainerFormat::safetensors;
  std::vector<TensorEntry> tensors;  // in the order of the header
  // safetensors: an object of strings. GGUF: key to {"type": name, "value": ...}, an array with
  // {"type": "array", "items": name, "value": [...]}, in the order of the file. Keys are UTF-8;
  // GGUF's texts need not be: metadata_text() writes them all the same.
  nlohmann::ordered_json metadata = nlohmann::ordered_json::object();
};

// Metadata as JSON text; bytes of values that are not UTF-8 become U+FFFD.
std::string metadata_text(const nlohmann::ordered_json& metadata);

// Parse the header of a file of which the first bytes, at least the header, are in `bytes`.
// `file_size` bounds every offset; no length of the file is trusted. Errors: data_loss, naming the
// rule that the bytes break.
Result<ContainerHeader> parse_safetensors(std::span<const std::byte> bytes, uint64_t file_size);
Result<ContainerHeader> parse_gguf(std::span<const std::byte> bytes, uint64_t file_size);

// An open file. Const functions may be called from any thread.
class Container {
 public:
  // Recognises the format by its content and reads the header only. Errors, with the path in front:
  // io; data_loss, naming the rule that the bytes break; unsupported for formats that precis does
  // not read.
  static Result<std::shared_ptr<const Container>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  ContainerFormat format() const { return header_.format; }
  const std::vector<TensorEntry>& tensors() const { return header_.tensors; }
  const nlohmann::ordered_json& metadata() const { return header_.metadata; }
  uint64_t file_size() const { return file_.size(); }
  // The tensor called `name`, or null.
  const TensorEntry* find(std::string_view name) const;

  // The bytes of a tensor of this container, mapped from the file; valid as long as the container.
  // Error invalid_argument: the entry is of another file and lies outside of this one.
  Result<std::span<const std::byte>> data(const TensorEntry& entry) const;
  // The same bytes, to be written to: what is written stays in this process.
  Result<std::span<std::byte>> writable_data(const TensorEntry& entry) const;
  // Tells the system that these bytes will be read soon, or are not needed any more. Only hints.
  void prefetch(const TensorEntry& entry) const;
  void release(const TensorEntry& entry) const;

 private:
  Container(std::filesystem::path path, MappedFile file, ContainerHeader header);

  std::filesystem::path path_;
  MappedFile file_;
  ContainerHeader header_;
  std::unordered_map<std::string_view, const TensorEntry*> by_name_;
};

}  // namespace precis
