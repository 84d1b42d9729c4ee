// A file of tensors before any data exists: its header and where each tensor will go.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/format/container.h"

namespace precis {

struct PlannedTensor {
  std::string name;
  DType dtype = DType::u8;
  std::string encoding;
  std::vector<int64_t> shape;
  uint64_t nbytes = 0;
};

struct FileLayout {
  std::string header;             // the bytes at the start of the file, padding included
  std::vector<uint64_t> offsets;  // absolute, one a tensor, in the order given
  uint64_t file_size = 0;
};

// metadata: as ContainerHeader has it. Errors: invalid_argument for a tensor that the format cannot hold
// (an encoding in safetensors, a dtype GGUF lacks, a name that is too long, more than four dimensions).
Result<FileLayout> plan_safetensors(std::span<const PlannedTensor> tensors,
                                    const nlohmann::ordered_json& metadata);
Result<FileLayout> plan_gguf(std::span<const PlannedTensor> tensors,
                             const nlohmann::ordered_json& metadata);
Result<FileLayout> plan_container(ContainerFormat format, std::span<const PlannedTensor> tensors,
                                  const nlohmann::ordered_json& metadata);

}  // namespace precis
