// Quantizing the layers of a network by what reaches them: the loop over blocks, layers and
// samples.
#pragma once

#include <torch/nn/module.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/engine/plan.h"
#include "runtime/calibration/block_chain.h"
#include "runtime/calibration/encoded_store.h"

namespace precis {

// Where a calibration stands; handed out after every group of layers.
struct CalibrationProgress {
  std::size_t layers_done = 0, layers_total = 0;
  double seconds = 0, seconds_left = 0;
  std::string layer;          // the last one that was finished
  double relative_error = 0;  // of its outputs: squared error over their squares
  bool resumed = false;       // an earlier run had finished it
};

struct CalibrateOptions {
  // The names under which a checkpoint may have a tensor of the network, the likeliest first.
  std::function<std::vector<std::string>(const std::string& name)> stored_names;
  std::function<void(const CalibrationProgress&)> progress;
  const std::atomic<bool>* cancel = nullptr;      // true: stop after the group at hand
  uint64_t max_sample_bytes = uint64_t{4} << 30;  // in memory between two stages; files take others
};

struct LayerLoss {
  std::string tensor;         // of the checkpoint
  double relative_error = 0;  // of its outputs over the calibration's rows; NaN: not known
};

struct CalibrationReport {
  std::vector<LayerLoss> layers;  // in the order that they were quantized in
  std::size_t resumed_layers = 0;
  std::vector<std::string> warnings;
  // The mappings of what `plan` now refers to.
  std::vector<std::shared_ptr<const Container>> files;
};

// Quantizes every Linear of `network` that `plan` quantizes, in the order in which the network runs
// them, each group of layers on inputs that the quantized layers before it computed; methods that
// cannot be calibrated round without data. samples: what enters the first stage, at least one; used
// up. Afterwards the layers of `network` have the values that the quantized ones decode to, and
// `plan` has their encoded parts, and in place of weights that a method scaled the scaled ones, all
// in files of `store`. A run that
// was killed goes on behind the last group in the store. Memory: the network, the samples between
// two stages up to max_sample_bytes, and the state of one group. Errors: the plugin's, with the
// tensor's name; data_loss for activations that are no numbers; cancelled; io.
Result<CalibrationReport> calibrate(torch::nn::Module& network, BlockChain& chain,
                                    std::vector<Activations> samples, ComponentPlan& plan,
                                    const EncodedStore& store, const CalibrateOptions& options);

}  // namespace precis
