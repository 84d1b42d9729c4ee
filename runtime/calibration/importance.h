// Importance of input channels: what llama.cpp calls an importance matrix.
#pragma once

#include <torch/nn/module.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/importance_matrix.h"
#include "runtime/calibration/activation_memory.h"
#include "runtime/calibration/block_chain.h"

namespace precis {

using ImportanceSums = std::map<std::string, SquareSums>;  // by the layer's path, or weight's name

// Runs the samples through the network, stage by stage, and sums what reaches every Linear. memory:
// what the samples may take between two stages.
// progress: stages done, stages. Errors: data_loss for an activation that is no number, with the
// layer's path; cancelled.
Result<ImportanceSums> sum_squares(torch::nn::Module& network, BlockChain& chain,
                                   std::vector<Activations> samples, ActivationMemory memory,
                                   const std::function<void(std::size_t, std::size_t)>& progress,
                                   const std::atomic<bool>* cancel);

}  // namespace precis
