// A network as a chain of stages that can be run one at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

namespace precis {

// What one sample hands on from stage to stage: the hidden states first, behind them whatever else
// the network's stages read, such as masks, position biases and rotary angles. Undefined: what no
// later stage reads.
using Activations = std::vector<at::Tensor>;

// Running all stages in order computes what the network's forward computes. Implemented by the
// networks; one thread at a time.
class BlockChain {
 public:
  virtual ~BlockChain() = default;
  // The blocks of the network, in the order that they run in, and what follows them.
  virtual std::size_t stage_count() const = 0;
  // The path in the module tree of what runs in the stage: "encoder.layer.3". Empty for stages in
  // which modules run that no path of another has: embedders in front, projections at the end.
  virtual std::string stage_path(std::size_t stage) const = 0;
  // Replaces the activations by those behind the stage. Tensors are replaced, never written to.
  virtual void run_stage(std::size_t stage, Activations& activations) = 0;
};

}  // namespace precis
