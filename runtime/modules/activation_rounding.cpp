#include "runtime/modules/activation_rounding.h"

#include <ATen/ATen.h>

#include <cmath>

#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

thread_local std::optional<double> current_momentum;

// Smallest and largest number of the dtype.
std::pair<double, double> limits(DType dtype) {
  if (dtype == DType::i8) return {-128, 127};
  const double largest = dtype == DType::f8_e5m2 ? 57344 : 448;
  return {-largest, largest};
}

}  // namespace

at::Tensor round_activation(const at::Tensor& x, DType dtype, const at::Tensor& scale) {
  const auto [smallest, largest] = limits(dtype);
  const at::Tensor factor = scale.to(x.scalar_type());
  at::Tensor codes = x / factor;
  if (dtype == DType::i8) codes = codes.round();
  codes = codes.clamp(smallest, largest);
  if (dtype != DType::i8) codes = codes.to(*scalar_type_of(dtype)).to(x.scalar_type());
  return codes * factor;
}

void update_scale(at::Tensor scale, const at::Tensor& x, DType dtype, double momentum) {
  if (x.numel() == 0) return;
  const at::Tensor measured = (x.abs().amax() / limits(dtype).second).to(scale.scalar_type());
  const double value = measured.item<double>();
  if (!std::isfinite(value) || value <= 0) return;
  const bool first = scale.item<double>() == 1.0;
  scale.copy_(first ? measured : momentum * scale + measured * (1.0 - momentum));
}

Calibration::Calibration(double momentum) {
  TORCH_CHECK(!current_momentum, "a Calibration lives already on this thread");
  TORCH_CHECK(momentum >= 0 && momentum < 1, "the momentum must be in [0, 1), not ", momentum);
  current_momentum = momentum;
}

Calibration::~Calibration() {
  current_momentum.reset();
}

std::optional<double> Calibration::momentum() {
  return current_momentum;
}

}  // namespace precis
