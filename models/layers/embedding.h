// Look-up tables: a row of "weight" [rows, width] for each index.
#pragma once

#include <torch/nn/module.h>

namespace precis::models {

class Embedding : public torch::nn::Module {
 public:
  Embedding(int64_t rows, int64_t width);
  // indices: int64 of any shape; gives [..., width].
  at::Tensor operator()(const at::Tensor& indices) { return at::embedding(weight_, indices); }
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_;
};

}  // namespace precis::models
