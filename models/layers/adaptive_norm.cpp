#include "models/layers/adaptive_norm.h"

#include "models/layers/module_path.h"

namespace precis::models {

at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1);
}

at::Tensor gated(const at::Tensor& gate, const at::Tensor& x) {
  return gate.unsqueeze(1) * x;
}

at::Tensor plain_layer_norm(const at::Tensor& x, double eps) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, eps);
}

Modulation::Modulation(int64_t width, int64_t parts, bool bias)
    : parts_(parts), linear_(add<Linear>(*this, "linear", width, parts * width, bias)) {}

std::vector<at::Tensor> Modulation::operator()(const at::Tensor& embedding) {
  return (*linear_)(at::silu(embedding)).chunk(parts_, 1);
}

ContinuousNorm::ContinuousNorm(int64_t width)
    : linear_(add<Linear>(*this, "linear", width, 2 * width)) {}

at::Tensor ContinuousNorm::operator()(const at::Tensor& x, const at::Tensor& embedding) {
  const auto parts = (*linear_)(at::silu(embedding).to(x.scalar_type())).chunk(2, 1);
  return modulate(plain_layer_norm(x), /*shift=*/parts[1], /*scale=*/parts[0]);
}

}  // namespace precis::models
