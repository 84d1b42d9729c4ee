// Activations rounded to 8 bits as they come, as the libraries of dynamically quantized layers do.
//
// torchao 0.18 (quantization/quant_primitives.py: choose_qparams_affine, quantize_affine,
// _choose_scale_float8), compressed-tensors 0.20 (quantization/utils/helpers.py: calculate_qparams;
// lifecycle/forward_helpers.py: _quantize_dequantize), transformers 5.23 (integrations/bitnet.py).
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

enum class ActivationRule {
  // torchao's integers: scale and zero point in the dtype of x, at least 2^-23; codes by way of the
  // reciprocal in float32.
  torchao_integer,
  // torchao's integers in front of a product of floats (intx): the same with every step in the
  // dtype of x, at least its smallest normal number.
  torchao_fake_integer,
  // A float32 scale, 1/448 of the largest magnitude, and e4m3fn codes: torchao's, FBGEMM's and
  // transformers' float8.
  float8,
  // compressed-tensors': every step in the dtype of x, zero and its scale included.
  compressed_integer,
  compressed_float8,
  // BitNet: codes of x times 127 / largest, each step in the dtype of x.
  bitnet,
};

struct ActivationRounding {
  ActivationRule rule;
  uint64_t group = 0;  // neighbours that share a scale; 0: a whole row
  int low = -128, high = 127;
  bool symmetric = true;
  float divisor = 127.5f;    // of the largest magnitude, for a symmetric scale
  float largest = 0;         // float8: magnitudes count up to this one; 0: all do
  float smallest_scale = 0;  // float8
};

inline bool in_own_dtype(ActivationRule rule) {
  return rule == ActivationRule::torchao_fake_integer ||
         rule == ActivationRule::compressed_integer || rule == ActivationRule::compressed_float8;
}

struct ActivationKernels {
  // Rows [0, rows) of x as the numbers that their codes stand for, in `out_type`: float32, or the
  // dtype of x for the rules whose numbers are of it (in_own_dtype). A row with a NaN or an
  // infinity is NaN as a whole, a group of zeros zero.
  void (*round)(const ActivationRounding& rounding, WeightType type, const void* x, uint64_t stride,
                uint64_t rows, uint64_t columns, WeightType out_type, void* out);
  // y = sums + bias, rounded to `type`; bias may be null.
  void (*finish)(WeightType type, const float* sums, uint64_t rows, uint64_t columns,
                 const void* bias, void* y, uint64_t stride);
};

const ActivationKernels& activation_kernels(Isa isa);

}  // namespace precis::kernels
