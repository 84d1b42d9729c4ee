// Filling a network from a checkpoint.
#pragma once

#include <torch/nn/module.h>

#include "runtime/loading/load.h"
#include "runtime/offload/device_map.h"

namespace precis::models {

// The names under which the libraries have stored a tensor of a network, the likeliest first.
std::vector<std::string> stored_names(const std::string& name);

struct WeightOptions {
  DType dtype = DType::f32;  // of what is not quantized
  // Tensors of the plan that the network does not have (an encoder, when only the decoder is built)
  // are left alone.
  bool partial = false;
  Arithmetic arithmetic = Arithmetic::library;  // of the quantized layers
  // Where the weights work, and where they are kept, with `stream`: see the LoadOptions of
  // load_model.
  at::Device device = at::kCPU;
  WeightPlace place = WeightPlace::device;
  bool stream = true;
  std::filesystem::path offload_directory;
};

struct PredictedBytes {
  uint64_t loaded = 0;       // that load_weights() will make of the network
  uint64_t working_set = 0;  // beside them while one weight is quantized
  // In memory at most when layers come one after another: one of them, and what is in no layer.
  uint64_t streamed = 0;
  uint64_t outside_layers = 0;  // of `streamed`, what is in no layer
  uint64_t made = 0;      // of `loaded`: quantized or cast on the way, so not mapped from a file
  uint64_t floating = 0;  // what the network takes in floating point
};
PredictedBytes predict_bytes(torch::nn::Module& network, const ComponentPlan& plan, DType dtype);

// Fills `network` from `component` by load_model, as `plan` has it, under all the names that the
// libraries have stored its tensors by. Errors: those of load_model; data_loss listing tensors that
// the network has no place for.
Result<LoadReport> load_weights(torch::nn::Module& network, const Component& component,
                                const ComponentPlan& plan, MethodResolver& methods,
                                const WeightOptions& options);

}  // namespace precis::models
