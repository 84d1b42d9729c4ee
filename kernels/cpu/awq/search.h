// AWQ's searches: scales of input channels, and bounds at which groups are clipped.
//
// Lin et al. 2023, "AWQ"; grids and formulas of AutoAWQ 0.2.9 (quantize/quantizer.py). Errors are
// not measured on a sample of tokens but by the second moments H of all of them: a row that loses e
// changes its outputs by e H e^T.
//
// Up to 32 rows lie side by side as the lanes of vectors. Bound by the products with H.
#pragma once

#include <cstdint>

#include "kernels/cpu/awq/awq.h"

namespace precis::kernels {

struct AwqSearch {
  WeightType type = WeightType::f32;
  const void* weight = nullptr;  // [rows][columns]
  AwqShape shape{};
  const float* moments = nullptr;  // H [columns][columns], both triangles
};

constexpr uint64_t kAwqSearchRows = 32;

struct AwqSearchKernels {
  // The sum of e H e^T over rows [row, row + rows), rows at most kAwqSearchRows, when the weight is
  // rounded as W * diag(scales) and the activation divided by scales [columns].
  double (*loss)(const AwqSearch& search, const float* scales, uint64_t row, uint64_t rows,
                 void* scratch);
  // Writes W * diag(scales) with each group clipped at the bound that rounds best, to out
  // [rows][columns]; groups stay whole unless `clip`.
  void (*scale_and_clip)(const AwqSearch& search, const float* scales, bool clip, uint64_t row,
                         uint64_t rows, void* scratch, float* out);
  // The sum of e H e^T for decoded [rows][columns], which stands for W * diag(scales).
  double (*decoded_loss)(const AwqSearch& search, const float* scales, const float* decoded,
                         uint64_t row, uint64_t rows, void* scratch);
};

// Bytes of scratch, 64-byte aligned.
uint64_t awq_search_scratch(const AwqShape& shape);

const AwqSearchKernels& awq_search_kernels(Isa isa);

}  // namespace precis::kernels
