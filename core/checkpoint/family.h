// What precis knows of model families, from families.json: the one place for such knowledge.
#pragma once

#include <cstdint>
#include <span>
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

// A weight that the model does not have of its own; checkpoints may store it or leave it out.
struct TiedWeight {
  std::string weight;
  std::string same_as;
  std::string when;  // key of config.json that must be true; empty: always
};

// A Linear weight that holds several, one below the other along out_features.
struct FusedLayout {
  std::string pattern;  // RE2, searched in the tensor's name
  std::vector<std::string> parts;
};

// All functions: [any thread]; a family's name that is not known gives what the family "other" has.

// The family's name: by the component's class, else by tell-tale tensors (also in the naming of the
// original repositories), else by GGUF's general.architecture; "other" when none fits.
std::string detect_family(const Component& component);
// Every family's name, in the order in which they are tried.
std::vector<std::string> family_names();

// Sensitive layers.
const std::vector<FamilySkip>& default_skips(std::string_view family);
const std::vector<TiedWeight>& tied_weights(std::string_view family);
const std::vector<FusedLayout>& fused_layouts(std::string_view family);

// The module that alone produces the input of the Linear modules at `paths`, and whose output goes
// nowhere else, so that what it is divided by may be multiplied onto their weights: a norm, or a
// Linear whose output reaches them through linear operations. Paths as in the network's tree, in
// any order. Empty: none is known for exactly these.
std::string scale_producer(std::string_view family, std::span<const std::string> paths);

// The kind of module that owns a tensor, as PyTorch and transformers call it: "Linear",
// "Embedding", "Norm", "Conv1d", "Conv2d", "Conv3d", "Conv1D" for GPT-2's transposed linear layers,
// or "Experts" for parameters that hold the matrices of all experts; empty for others that are no
// module's `weight`. By name and shape (logical, row-major) alone.
std::string module_kind(std::string_view family, std::string_view tensor_name,
                        std::span<const int64_t> shape);

}  // namespace precis
