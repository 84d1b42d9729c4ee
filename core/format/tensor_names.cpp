#include "core/format/tensor_names.h"

#include <unordered_set>

namespace precis {

const TensorEntry* find_duplicate_name(const std::vector<TensorEntry>& tensors) {
  std::unordered_set<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorEntry& entry : tensors) {
    if (!names.insert(entry.name).second) return &entry;
  }
  return nullptr;
}

}  // namespace precis
