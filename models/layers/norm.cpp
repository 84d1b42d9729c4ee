#include "models/layers/norm.h"

#include "models/layers/parameter.h"

namespace precis::models {

LayerNorm::LayerNorm(int64_t width, double eps, bool affine) : width_(width), eps_(eps) {
  if (!affine) return;
  weight_ = uninitialised(*this, "weight", {width});
  bias_ = uninitialised(*this, "bias", {width});
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) {
  return at::layer_norm(x, {width_}, weight_, bias_, eps_);
}

RmsNorm::RmsNorm(int64_t width, double eps) : eps_(eps) {
  weight_ = uninitialised(*this, "weight", {width});
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) {
  const auto variance = x.to(at::kFloat).square().mean(-1, /*keepdim=*/true);
  const auto normed = x * at::rsqrt(variance + eps_);
  return normed.to(weight_.scalar_type()) * weight_;
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps) : groups_(groups), eps_(eps) {
  weight_ = uninitialised(*this, "weight", {channels});
  bias_ = uninitialised(*this, "bias", {channels});
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) {
  return at::group_norm(x, groups_, weight_, bias_, eps_);
}

}  // namespace precis::models
