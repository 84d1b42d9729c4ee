// What precis knows of model families, from families.json: the one place for such knowledge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/checkpoint.h"

namespace precis {

// Weights that a family's users leave as they are.
struct FamilySkip {
  std::string pattern;  // RE2, searched in the tensor's name
  std::string reason;
};

// The family's name, by the component's class, else by tell-tale tensors; "other" when none fits.
std::string detect_family(const Component& component);

// Sensitive layers of the family called `name`; empty for an unknown name.
const std::vector<FamilySkip>& default_skips(std::string_view name);

// What kind of module owns a tensor: "Linear", "Embedding", "Conv" or "" for anything else. By the
// tensor's name and shape alone.
std::string module_kind(std::string_view tensor_name, const std::vector<int64_t>& shape);

}  // namespace precis
