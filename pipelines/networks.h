// Networks by the class names of diffusers and transformers.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <string>

#include "pipelines/pipeline.h"

namespace precis::pipelines {

struct LoadedNetwork {
  std::shared_ptr<torch::nn::Module> network;  // of the class in models/ that its config.json names
  ComponentReport report;
};

// Loads the one network of a model directory (config.json and weights, quantized or not), which may
// be a component's folder of a pipeline. It can be given to a pipeline as a ready component.
// options.components are not used. methods: must outlive the call only. Errors: unsupported for a
// class that precis does not have, naming those it has; those of Pipeline::from_pretrained.
Result<LoadedNetwork> load_network(const std::filesystem::path& directory,
                                   const LoadOptions& options, MethodResolver& methods);

// What a network can be calibrated with.
enum class CalibrationData {
  none,
  texts,      // that it reads: encoders and decoders
  denoising,  // its inputs while a pipeline makes images
};
// By class_name, of diffusers or transformers.
CalibrationData calibration_data(const Component& component);

}  // namespace precis::pipelines
