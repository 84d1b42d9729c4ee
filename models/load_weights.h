// Filling a network from a checkpoint.
#pragma once

#include <torch/nn/module.h>

#include "runtime/loading/load.h"

namespace precis::models {

struct WeightOptions {
  DType dtype = DType::f32;  // of what is not quantized
  // Tensors of the plan that the network does not have (an encoder, when only the decoder is built)
  // are left alone.
  bool partial = false;
  Arithmetic arithmetic = Arithmetic::library;  // of the quantized layers
};

// Bytes that load_weights() will make of the network, and the largest float weight that it holds
// beside them while it quantizes.
struct PredictedBytes {
  uint64_t loaded = 0, working_set = 0;
};
PredictedBytes predict_bytes(torch::nn::Module& network, const ComponentPlan& plan, DType dtype);

// Fills `network` from `component` by load_model, as `plan` has it, under all the names that the
// libraries have stored its tensors by. Errors: those of load_model; data_loss listing tensors that
// the network has no place for.
Result<LoadReport> load_weights(torch::nn::Module& network, const Component& component,
                                const ComponentPlan& plan, MethodResolver& methods,
                                const WeightOptions& options);

}  // namespace precis::models
