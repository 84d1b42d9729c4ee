// Products and convolutions of 16-bit numbers on processors that have no instructions for them.
//
// LibTorch 2.13 multiplies bfloat16 without AVX-512, and float16 without AVX-512's half precision,
// number by number: at an eighth of float32's speed in a product, at a hundredth in a convolution.
// There these multiply float32 copies and round each sum once, as its own 16-bit kernels do.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/conv.h>

namespace precis {

// Whether tensors of this dtype, on this machine's CPU, are multiplied as float32.
bool is_widened(at::ScalarType dtype);

// Bytes of copies that widening_linear holds at most, beside x and y.
inline constexpr int64_t kWideningBytes = 12 << 20;

// x W^T + bias, at::linear. x: [..., in_features]; weight: [out_features, in_features]; bias:
// [out_features] or undefined.
at::Tensor widening_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// As a torch::nn::Conv2d holds them.
using Conv2dOptions = decltype(torch::nn::Conv2dImpl::options);

// x: [batch, in_channels, height, width]; weight: [out_channels, in_channels / groups, height,
// width]; bias: [out_channels] or undefined. options: stride, padding with zeros, dilation and
// groups are read. Where it widens it holds float32 copies of x, weight and y.
at::Tensor widening_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const Conv2dOptions& options);

}  // namespace precis
