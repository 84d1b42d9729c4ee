// diffusers' FeedForward with one projection in: net.0.proj, activation, net.2.
#pragma once

#include <string>

#include "models/layers/activation.h"
#include "models/layers/linear.h"

namespace precis::models {

class FeedForward : public torch::nn::Module {
 public:
  // inner: width between the projections, 4 times the width in the networks here.
  FeedForward(int64_t width, int64_t inner, const std::string& activation_name);
  at::Tensor operator()(const at::Tensor& x) { return (*out_)(activation_((*in_)(x))); }

 private:
  std::shared_ptr<Linear> in_, out_;
  Activation activation_;
};

}  // namespace precis::models
