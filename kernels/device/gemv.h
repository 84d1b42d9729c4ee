// y = x W^T + bias for a few rows of x: one warp for each row of W. Bound by the memory that W
// takes.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGemvWarps = 4;
inline constexpr int kGemvMaxBatch = 8;
inline constexpr int kGemvUnroll = 4;  // runs in flight for each lane

// sums[b] += the run's eight weights times x[b][column ...], for the rows of x below `batch`.
template <class Format, class Activation, int Batch>
PRECIS_FUNCTION void gemv_accumulate(const typename Format::Weight& weight,
                                     const typename Format::Table& table,
                                     const typename Format::Run& run, const Activation* x,
                                     uint32_t column, int batch, float (&sums)[Batch]) {
  float levels[kRun];
  Format::unpack(table, run, levels);
  const Scale scale = Format::scale(weight, run);
  const float factor = Format::factor(scale);
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) {
    if (b >= batch) break;
    float values[kRun];
    load_8(x + uint64_t{weight.columns} * static_cast<unsigned>(b) + column, values);
    float product = 0, total = 0;
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i) {
      product = fused_multiply_add(levels[i], values[i], product);
      if constexpr (Format::kShifted) total += values[i];
    }
    sums[b] = fused_multiply_add(factor, product, sums[b]);
    if constexpr (Format::kShifted) sums[b] = fused_multiply_add(scale.shift, total, sums[b]);
  }
}

// x[batch][columns], y[batch][rows], bias[rows] or null; batch <= Batch. The sum of a lane has
// columns / 32 products and the lanes are added in five steps, all in float32: the error is below
// (columns / 32 + 16) * 2^-24 * sum |w x| before y is rounded.
template <class Format, class Activation, int Batch>
__global__ void __launch_bounds__(kGemvWarps* kWarp)
    gemv_kernel(PRECIS_PARAMETER typename Format::Weight weight, const Activation* x,
                const Activation* bias, Activation* y, int batch) {
  PRECIS_SHARED(typename Format::Table, table);
  Format::fill(table, weight);
  __syncthreads();
  const uint32_t row = blockIdx.x * kGemvWarps + static_cast<uint32_t>(warp());
  if (row >= weight.rows) return;
  constexpr uint32_t kStep = kWarp * kRun;
  float sums[Batch] = {};
  uint32_t column = static_cast<uint32_t>(lane()) * kRun;
  for (; column + (kGemvUnroll - 1) * kStep < weight.columns; column += kGemvUnroll * kStep) {
    typename Format::Run runs[kGemvUnroll];
    PRECIS_UNROLL
    for (int i = 0; i < kGemvUnroll; ++i)
      runs[i] = Format::load(weight, row, column + static_cast<uint32_t>(i) * kStep);
    PRECIS_UNROLL
    for (int i = 0; i < kGemvUnroll; ++i)
      gemv_accumulate<Format, Activation, Batch>(
          weight, table, runs[i], x, column + static_cast<uint32_t>(i) * kStep, batch, sums);
  }
  for (; column < weight.columns; column += kStep)
    gemv_accumulate<Format, Activation, Batch>(weight, table, Format::load(weight, row, column), x,
                                               column, batch, sums);
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) {
    const float sum = warp_sum(sums[b]);
    if (lane() == b && b < batch)
      y[uint64_t{weight.rows} * static_cast<unsigned>(b) + row] =
          from_float<Activation>(bias == nullptr ? sum : sum + to_float(bias[row]));
  }
}

template <class Format, class Activation>
const char* launch_gemv(const typename Format::Weight& weight, const Activation* x,
                        const Activation* bias, Activation* y, uint32_t batch, void* stream) {
  const dim3 grid((weight.rows + kGemvWarps - 1) / kGemvWarps), block(kGemvWarps * kWarp);
  const int rows = static_cast<int>(batch);
  if (batch == 1)
    return PRECIS_LAUNCH((gemv_kernel<Format, Activation, 1>), grid, block, 0, stream, weight, x,
                         bias, y, rows);
  if (batch <= 4)
    return PRECIS_LAUNCH((gemv_kernel<Format, Activation, 4>), grid, block, 0, stream, weight, x,
                         bias, y, rows);
  return PRECIS_LAUNCH((gemv_kernel<Format, Activation, kGemvMaxBatch>), grid, block, 0, stream,
                       weight, x, bias, y, rows);
}

}  // namespace precis::kernels::PRECIS_DEVICE
