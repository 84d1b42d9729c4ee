// Rotary position embedding (Su et al. 2021).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace precis::models {

// cos and sin, float32 [tokens, sum of widths], of the angles position * theta^(-2 i / width) of
// every axis, computed in double; each angle twice, for the two channels of a pair.
// positions: [tokens, axes]; widths: channels of each axis, even.
std::pair<at::Tensor, at::Tensor> rotary_angles(const at::Tensor& positions,
                                                const std::vector<int64_t>& widths, double theta);

// x with pairs of neighbouring channels turned by the angles. x: [batch, heads, tokens, width]; the
// result has its dtype, the product is float32.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

// The same with channel i and channel i + width / 2 as a pair, in the dtype of x throughout, as
// transformers does for Llama. cos, sin: [tokens, width] in that dtype, each angle twice.
at::Tensor rotate_halves(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace precis::models
