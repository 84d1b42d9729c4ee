// A float network and what it is calibrated with, wherever that came from.
#pragma once

#include <torch/nn/module.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/engine/plan.h"
#include "runtime/calibration/calibrate.h"
#include "runtime/calibration/importance.h"

namespace precis::pipelines {

struct NetworkCalibration {
  std::shared_ptr<torch::nn::Module> network;
  BlockChain* chain = nullptr;  // the network itself
  std::vector<Activations> samples;
  std::size_t texts = 0, tokens = 0, longest_tokens = 0;  // that the samples are made of
  std::vector<std::shared_ptr<const Container>> files;    // that hold the samples
};

// calibrate() for one component. source: of the plan, for messages.
Result<CalibrationReport> calibrate_network(NetworkCalibration& calibration,
                                            const std::filesystem::path& source,
                                            ComponentPlan& plan, const EncodedStore& store,
                                            CalibrateOptions options);

// Sums of the squares of what reaches every Linear of the network, by the weight's name in
// `component` of the checkpoint. progress: stages done, stages.
Result<ImportanceSums> collect_importance(
    NetworkCalibration& calibration, const Component& component, ActivationMemory memory,
    const std::function<void(std::size_t, std::size_t)>& progress, const std::atomic<bool>* cancel);

}  // namespace precis::pipelines
