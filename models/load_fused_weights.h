// Filling a network whose queries, keys and values become one product.
#pragma once

#include "models/load_weights.h"

namespace precis::models {

// load_weights(), then fuse_qkv_projections(), then the methods of `plan`: those of three layers
// meet in the fused one, as when diffusers' fuse_qkv_projections() is called before quantization.
// The network is whole in floating point meanwhile. Errors: those of load_weights();
// failed_precondition for weights that are stored quantized; invalid_argument where the plan has
// different methods for layers that are fused.
Result<LoadReport> load_fused_weights(torch::nn::Module& network, const Component& component,
                                      const ComponentPlan& plan, MethodResolver& methods,
                                      const WeightOptions& options);

}  // namespace precis::models
