// The layers of a stage in the order that they are called in, and which of them share their input.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/calibration/block_chain.h"
#include "runtime/calibration/observed_linear.h"

namespace precis {

// A layer that will be quantized, while it is still a float one that can be observed.
struct ObservedLayer {
  ModuleSite site;
  std::size_t target = 0;  // which of the caller's
  std::shared_ptr<ObservedLinear> linear;
};

// Layers that were fed the very same tensor: queries, keys and values of an attention, gate and up
// of a feed-forward. In calling order.
using LayerGroup = std::vector<ObservedLayer>;

// Puts an ObservedLinear in the place of every Linear at `targets` (path to number) that belongs to
// the stage. Error failed_precondition: something else than the tree holds the layer.
Result<std::vector<ObservedLayer>> observe_stage(torch::nn::Module& root, const BlockChain& chain,
                                                 std::size_t stage,
                                                 const std::map<std::string, Param>& params,
                                                 const std::map<std::string, std::size_t>& targets);

// Runs the stage on a copy of `sample` to find the groups, in calling order. Layers that are not
// called are in `silent`.
std::vector<LayerGroup> group_layers(BlockChain& chain, std::size_t stage,
                                     const Activations& sample,
                                     const std::vector<ObservedLayer>& layers,
                                     std::vector<ObservedLayer>& silent);

// Runs the stage on a copy of every sample and shows `observer` each input of `layer`; the stage is
// left as soon as the layer was called.
void watch_input(BlockChain& chain, std::size_t stage, const std::vector<Activations>& samples,
                 ObservedLinear& layer, const std::function<void(const at::Tensor&)>& observer);

}  // namespace precis
