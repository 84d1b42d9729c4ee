#include "validate/subject/input.h"

#include <fmt/format.h>

#include "core/base/byte_size.h"
#include "core/checkpoint/checkpoint.h"

namespace precis::validate {
namespace {

constexpr uint64_t kMostBytes = 1ull << 30;

Result<InputCheckpoint> read_component(const Component& component,
                                       const std::filesystem::path& path) {
  InputCheckpoint input;
  input.config = *component.quantization_config();
  uint64_t total = 0;
  for (const TensorRef& ref : component.tensors) total += ref.entry->nbytes;
  if (total > kMostBytes)
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: has {} of tensors", path.string(), format_bytes(total)),
                 "a checkpoint of one layer is enough");
  for (const TensorRef& ref : component.tensors) {
    const TensorEntry& entry = *ref.entry;
    PRECIS_ASSIGN(const auto data, component.files[ref.file]->data(entry));
    input.tensors.push_back({entry.name, entry.dtype, entry.shape, entry.nbytes, entry.encoding});
    input.bytes.emplace_back(data.begin(), data.end());
  }
  if (!component.files.empty()) input.metadata = metadata_text(component.files[0]->metadata());
  return input;
}

}  // namespace

Result<InputCheckpoint> read_input(const std::filesystem::path& path) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(path));
  for (const Component& component : checkpoint.components) {
    if (component.quantization_config() != nullptr) return read_component(component, path);
  }
  return Error(ErrorCode::not_found, fmt::format("{}: has no quantization_config", path.string()),
               "give a model's directory, or a .safetensors file, that this plugin's method made");
}

}  // namespace precis::validate
