// Activations rounded to 8 bits by one scale a tensor, as optimum-quanto does.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/base/dtype.h"
#include "core/base/result.h"

namespace precis {

// What a layer does to its input and its output. The scales are the layer's parts `input_scale` and
// `output_scale`, so they are in its state dict; 1 means not calibrated yet.
struct ActivationRounding {
  DType dtype = DType::i8;  // or f8_e4m3fn, f8_e5m2
  at::Tensor input_scale, output_scale;
  bool outputs = true;  // false: only what goes into the product is rounded
};

// x on the grid of `dtype` with `scale`, in the dtype of x: the value of quanto's
// quantize_activation (tensor/quantizers of optimum-quanto 0.2.7). Integers are rounded half to
// even and clamped to [-128, 127], floats to the largest finite number.
at::Tensor round_activation(const at::Tensor& x, DType dtype, const at::Tensor& scale);

// Takes the largest absolute value of a batch into `scale`: the first replaces it, later ones count
// with 1 - momentum (optimum-quanto 0.2.7, calibrate.py). A batch of zeros or NaN does not count.
void update_scale(at::Tensor scale, const at::Tensor& x, DType dtype, double momentum);

// Layers called on this thread while one lives measure their inputs and outputs before they round
// them. quanto takes 0.9 for inputs whatever the momentum; so does this. Not copied, not nested.
class Calibration {
 public:
  explicit Calibration(double momentum = 0.9);
  ~Calibration();
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  static constexpr double kInputMomentum = 0.9;
  // Of the one that lives on this thread; nothing: none does.
  static std::optional<double> momentum();
};

}  // namespace precis
