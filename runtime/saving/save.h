// A module tree's state dict as a file, in the names of the Python libraries.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/result.h"

namespace precis {

// Writes every parameter and buffer of `root` to a safetensors file, which appears complete or not
// at all: what load_file() of the Python library reads and load_model takes. GGUF blocks have no
// place in safetensors: error unsupported. Error io. [one thread at a time]
Status save_state_dict(const torch::nn::Module& root, const std::filesystem::path& file);

// The second argument of optimum-quanto's requantize() (0.2.7), for the quantized layers of `root`:
// path -> {"weights": "qint8", "activations": "qint8" or "none"}. Layers of other methods are not
// in it.
nlohmann::ordered_json quantization_map(torch::nn::Module& root);

}  // namespace precis
