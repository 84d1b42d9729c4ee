// Two-dimensional convolution.
#pragma once

#include <torch/nn/module.h>

#include "runtime/modules/widened_products.h"

namespace precis::models {

// "weight" [out_channels, in_channels, kernel, kernel], "bias" [out_channels].
class Conv2d : public torch::nn::Module {
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride = 1,
         int64_t padding = 0, bool bias = true);
  // x: [batch, in_channels, height, width].
  at::Tensor operator()(const at::Tensor& x) {
    return widening_conv2d(x, weight_, bias_, options_);
  }

 private:
  Conv2dOptions options_;
  at::Tensor weight_, bias_;
};

}  // namespace precis::models
