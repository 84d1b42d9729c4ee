// Filling a network from a checkpoint.
#pragma once

#include <torch/nn/module.h>

#include "core/engine/plan.h"

namespace precis::models {

// Bytes of a network's weights.
struct LoadedWeights {
  uint64_t source_bytes = 0;  // as the checkpoint stores them
  uint64_t loaded_bytes = 0;  // as the network holds them
};

// Reads every parameter and buffer of `network` as `plan` has it: weights that the plan quantizes
// are quantized one by one and their layers replaced; all others are decoded straight into the
// network's memory in its dtype. Peak memory is the loaded network and one weight's working set.
// Tensors of the plan that the network does not have (an encoder, when only the decoder is built)
// are left alone when `partial`. Errors: data_loss listing the missing or unexpected names, or the
// name whose shape differs; those of the plugin.
Result<LoadedWeights> load_weights(torch::nn::Module& network, const ComponentPlan& plan,
                                   bool partial = false);

}  // namespace precis::models
