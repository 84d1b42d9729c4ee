// Bringing waiting weights to their device.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <utility>
#include <vector>

#include "runtime/offload/waiting_weight.h"

namespace precis {

// While it lives, the waiting weights of a module and of those below it are on their device, copied
// there on torch's current stream. Then they wait again where they were: nothing is copied back,
// and what layers had prepared of them for their products is let go. One thread at a time for a
// module.
class Onloaded {
 public:
  // module outlives it. Brings the weights that come to their device `when`. Throws c10::Error, as
  // when the device has no memory left; then every weight waits as before.
  Onloaded(torch::nn::Module& module, Onload when);
  ~Onloaded();
  Onloaded(const Onloaded&) = delete;
  Onloaded& operator=(const Onloaded&) = delete;

  // Whether there was a weight to bring.
  bool brought() const { return !moved_.empty(); }

 private:
  void bring(at::Tensor tensor, Onload when);
  void restore();

  torch::nn::Module& module_;
  std::vector<std::pair<at::Tensor, at::Tensor>> moved_;  // a weight, and itself where it waits
};

}  // namespace precis
