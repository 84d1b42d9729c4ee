// Rules that both container formats have for the names of tensors.
#pragma once

#include <string_view>
#include <vector>

#include "core/format/tensor_entry.h"

namespace precis {

// The first tensor, in stored order, whose name an earlier one has; null when all names differ.
const TensorEntry* find_duplicate_name(const std::vector<TensorEntry>& tensors);

}  // namespace precis
