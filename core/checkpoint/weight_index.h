// The index of a sharded checkpoint, "model.safetensors.index.json".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace precis {

// File name (relative to the index) to the tensors that it holds.
using WeightIndex = std::map<std::string, std::vector<std::string>>;

// Reads weight_map. No name may lead out of the index' directory. Error data_loss: text that is no
// index, an empty one, one that names a tensor twice.
Result<WeightIndex> parse_weight_index(std::string_view text);

}  // namespace precis
