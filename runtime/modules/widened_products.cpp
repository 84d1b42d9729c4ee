#include "runtime/modules/widened_products.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/nn/functional/conv.h>

#include <algorithm>
#include <vector>

namespace precis {
namespace {

// float32 rows of the weight, or of x, held at once: they stay in the processor's caches.
constexpr int64_t kCopyBytes = kWideningBytes / 3;
// Of x and of the weight at once, so that their products take no more than either.
constexpr int64_t kMostXRows = 256, kMostWeightRows = 4096;

int64_t rows_at_once(int64_t features, int64_t most) {
  return std::clamp<int64_t>(kCopyBytes / (features * static_cast<int64_t>(sizeof(float))), 1,
                             most);
}

// LibTorch's own answer, which its kernels go by.
bool has_instructions(const char* question) {
  const auto found = c10::Dispatcher::singleton().findSchema({question, ""});
  return found && found->typed<bool()>().call();
}

// LibTorch says what is wrong with tensors of two dtypes.
bool widens(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && is_widened(x.scalar_type()) && weight.scalar_type() == x.scalar_type();
}

at::Tensor to_float(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(at::kFloat) : tensor;
}

}  // namespace

bool is_widened(at::ScalarType dtype) {
  static const bool has_bfloat16 = has_instructions("mkldnn::_is_mkldnn_bf16_supported");
  static const bool has_float16 = has_instructions("mkldnn::_is_mkldnn_fp16_supported");
  return (dtype == at::kBFloat16 && !has_bfloat16) || (dtype == at::kHalf && !has_float16);
}

at::Tensor widening_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t in_features = weight.size(1), out_features = weight.size(0);
  const int64_t x_rows = in_features > 0 ? x.numel() / in_features : 0;
  // One row reads the weight once either way, and LibTorch does so without a copy.
  if (!widens(x, weight) || x_rows < 2) return at::linear(x, weight, bias);
  const at::Tensor rows = x.reshape({x_rows, in_features});
  at::Tensor y = at::empty({x_rows, out_features}, x.options());
  const int64_t x_step = rows_at_once(in_features, kMostXRows);
  const int64_t step = rows_at_once(in_features, kMostWeightRows);
  for (int64_t row = 0; row < x_rows; row += x_step) {
    const int64_t count = std::min(x_step, x_rows - row);
    const at::Tensor x_float = rows.narrow(0, row, count).to(at::kFloat);
    for (int64_t begin = 0; begin < out_features; begin += step) {
      const int64_t width = std::min(step, out_features - begin);
      const at::Tensor part = bias.defined() ? bias.narrow(0, begin, width) : bias;
      y.narrow(0, row, count)
          .narrow(1, begin, width)
          .copy_(
              at::linear(x_float, weight.narrow(0, begin, width).to(at::kFloat), to_float(part)));
    }
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out_features;
  return y.view(shape);
}

at::Tensor widening_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const Conv2dOptions& options) {
  const auto convolve = [&](const at::Tensor& input, const at::Tensor& kernels,
                            const at::Tensor& added) {
    return torch::nn::functional::detail::conv2d(input, kernels, added, options.stride(),
                                                 options.padding(), options.dilation(),
                                                 options.groups());
  };
  if (!widens(x, weight)) return convolve(x, weight, bias);
  return convolve(to_float(x), to_float(weight), to_float(bias)).to(x.scalar_type());
}

}  // namespace precis
