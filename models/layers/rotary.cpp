#include "models/layers/rotary.h"

#include <ATen/ATen.h>

namespace precis::models {

std::pair<at::Tensor, at::Tensor> rotary_angles(const at::Tensor& positions,
                                                const std::vector<int64_t>& widths, double theta) {
  std::vector<at::Tensor> angles;
  for (std::size_t axis = 0; axis < widths.size(); ++axis) {
    const auto exponents = at::arange(0, widths[axis], 2, at::kDouble) / widths[axis];
    const auto position = positions.select(1, static_cast<int64_t>(axis)).to(at::kDouble);
    angles.push_back(
        at::outer(position, at::pow(theta, -exponents)).repeat_interleave(2, /*dim=*/1));
  }
  const auto all = at::cat(angles, 1);
  return {all.cos().to(at::kFloat), all.sin().to(at::kFloat)};
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto pairs = x.unflatten(-1, {-1, 2}).unbind(-1);
  const auto turned = at::stack({-pairs[1], pairs[0]}, -1).flatten(-2);
  return (x.to(at::kFloat) * cos + turned.to(at::kFloat) * sin).to(x.scalar_type());
}

at::Tensor rotate_halves(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return x * cos + at::cat({-halves[1], halves[0]}, -1) * sin;
}

}  // namespace precis::models
