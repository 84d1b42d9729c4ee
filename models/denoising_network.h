// Networks that denoise latents, as a chain of stages: the embedders, the blocks, the output.
#pragma once

#include <functional>

#include "runtime/calibration/block_chain.h"

namespace precis::models {

class DenoisingNetwork : public BlockChain {
 public:
  using Observer = std::function<void(const Activations& inputs)>;

  // Shows the observer, until another takes its place, what enters the first stage of every
  // forward. What it throws passes through.
  void observe(Observer observer) { observer_ = std::move(observer); }

  std::size_t stage_count() const final { return block_count() + 2; }
  // Empty for the embedders and the output.
  std::string stage_path(std::size_t stage) const final {
    return stage == 0 || stage > block_count() ? "" : block_path(stage - 1);
  }
  void run_stage(std::size_t stage, Activations& activations) final {
    if (stage == 0) return embed(activations);
    if (stage > block_count()) return put_out(activations);
    run_block(stage - 1, activations);
  }

 protected:
  virtual std::size_t block_count() const = 0;
  virtual std::string block_path(std::size_t block) const = 0;
  virtual void embed(Activations& activations) = 0;
  virtual void run_block(std::size_t block, Activations& activations) = 0;
  // Leaves the network's result in front.
  virtual void put_out(Activations& activations) = 0;

  // The forward of the networks.
  at::Tensor denoise(Activations inputs) {
    if (observer_) observer_(inputs);
    for (std::size_t stage = 0; stage < stage_count(); ++stage) run_stage(stage, inputs);
    return inputs.front();
  }

 private:
  Observer observer_;
};

}  // namespace precis::models
