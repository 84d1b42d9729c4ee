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

// Lays tensors out as the reference library of each format would: safetensors by falling width of
// dtype, then name, without holes; GGUF in the order given, each tensor padded to 32 bytes.
// metadata: as ContainerHeader has it; readers of GGUF want general.architecture first.
// Errors: invalid_argument for what the format or its readers cannot hold: an encoding in
// safetensors; in GGUF a dtype it lacks, a name of more than 159 bytes, more than five dimensions
// (ggml itself stops at four); in both nbytes that dtype and shape do not give, and a name that
// appears twice.
Result<FileLayout> plan_safetensors(std::span<const PlannedTensor> tensors,
                                    const nlohmann::ordered_json& metadata);
Result<FileLayout> plan_gguf(std::span<const PlannedTensor> tensors,
                             const nlohmann::ordered_json& metadata);
Result<FileLayout> plan_container(ContainerFormat format, std::span<const PlannedTensor> tensors,
                                  const nlohmann::ordered_json& metadata);

}  // namespace precis
