// A quantized checkpoint that the user gives: what a plugin that only reads is tried with.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"

namespace precis::validate {

struct InputCheckpoint {
  nlohmann::json config;  // its quantization_config
  std::vector<PartSpec> tensors;
  std::vector<std::vector<std::byte>> bytes;  // one each
  std::string metadata = "{}";
};

// Of the first component that has a quantization_config, all tensors, in memory. Errors: those of
// open_checkpoint; not_found where nothing is quantized; unsupported beyond 1 GiB.
Result<InputCheckpoint> read_input(const std::filesystem::path& path);

}  // namespace precis::validate
