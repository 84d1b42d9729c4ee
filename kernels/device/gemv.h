// y = x W^T + bias for a few rows of x: one warp for each row of W. Bound by the memory that W
// takes.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGemvWarps = 4;
inline constexpr int kGemvMaxBatch = 8;

// Runs in flight for each lane.
template <class Format>
inline constexpr int kRunsInFlight = [] {
  if constexpr (requires { Format::kInFlight; })
    return Format::kInFlight;
  else
    return 4;
}();

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
  constexpr int kUnroll = kRunsInFlight<Format>;
  float sums[Batch] = {};
  uint32_t column = static_cast<uint32_t>(lane()) * kRun;
  for (; column + (kUnroll - 1) * kStep < weight.columns; column += kUnroll * kStep) {
    typename Format::Run runs[kUnroll];
    PRECIS_UNROLL
    for (int i = 0; i < kUnroll; ++i)
      runs[i] = Format::load(weight, row, column + static_cast<uint32_t>(i) * kStep);
    PRECIS_UNROLL
    for (int i = 0; i < kUnroll; ++i)
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

// The same for runs that stand along the rows: a block has 32 rows, one for each lane, and its
// warps take turns along the columns. Within the same bound: a warp's sum has fewer products.
inline constexpr unsigned kGemvRowWarps = 16;

template <int Batch>
struct WarpSums {
  float sums[kGemvRowWarps][Batch][kWarp];
};

template <class Format, class Activation, int Batch>
__global__ void __launch_bounds__(kGemvRowWarps* kWarp, 2)
    gemv_rows_kernel(PRECIS_PARAMETER typename Format::Weight weight, const Activation* x,
                     const Activation* bias, Activation* y, int batch) {
  PRECIS_SHARED(typename Format::Table, table);
  PRECIS_SHARED(WarpSums<Batch>, of_warps);
  Format::fill(table, weight);
  __syncthreads();
  const uint32_t first = blockIdx.x * kWarp, last = weight.rows - 1;
  const uint32_t wanted = first + static_cast<uint32_t>(lane()),
                 row = wanted < last ? wanted : last;
  constexpr uint32_t kStep = kGemvRowWarps * kRun;
  constexpr int kUnroll = kRunsInFlight<Format>;
  float sums[Batch] = {};
  uint32_t column = static_cast<uint32_t>(warp()) * kRun;
  for (; column + (kUnroll - 1) * kStep < weight.columns; column += kUnroll * kStep) {
    typename Format::Run runs[kUnroll];
    PRECIS_UNROLL
    for (int i = 0; i < kUnroll; ++i)
      runs[i] = Format::load(weight, row, column + static_cast<uint32_t>(i) * kStep);
    PRECIS_UNROLL
    for (int i = 0; i < kUnroll; ++i)
      gemv_accumulate<Format, Activation, Batch>(
          weight, table, runs[i], x, column + static_cast<uint32_t>(i) * kStep, batch, sums);
  }
  for (; column < weight.columns; column += kStep)
    gemv_accumulate<Format, Activation, Batch>(weight, table, Format::load(weight, row, column), x,
                                               column, batch, sums);
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) of_warps.sums[warp()][b][lane()] = sums[b];
  __syncthreads();
  const int b = warp();
  if (b >= batch || wanted > last) return;
  float parts[4] = {};
  PRECIS_UNROLL
  for (unsigned i = 0; i < kGemvRowWarps; ++i) parts[i % 4] += of_warps.sums[i][b][lane()];
  const float sum = (parts[0] + parts[1]) + (parts[2] + parts[3]);
  y[uint64_t{weight.rows} * static_cast<unsigned>(b) + row] =
      from_float<Activation>(bias == nullptr ? sum : sum + to_float(bias[row]));
}

template <class Format, class Activation, int Batch>
const char* launch_gemv_batch(const typename Format::Weight& weight, const Activation* x,
                              const Activation* bias, Activation* y, int batch, void* stream) {
  if constexpr (kRunsAlongRows<Format>)
    return PRECIS_LAUNCH((gemv_rows_kernel<Format, Activation, Batch>),
                         dim3((weight.rows + kWarp - 1) / kWarp), dim3(kGemvRowWarps * kWarp), 0,
                         stream, weight, x, bias, y, batch);
  else
    return PRECIS_LAUNCH((gemv_kernel<Format, Activation, Batch>),
                         dim3((weight.rows + kGemvWarps - 1) / kGemvWarps),
                         dim3(kGemvWarps * kWarp), 0, stream, weight, x, bias, y, batch);
}

template <class Format, class Activation>
const char* launch_gemv(const typename Format::Weight& weight, const Activation* x,
                        const Activation* bias, Activation* y, uint32_t batch, void* stream) {
  const int rows = static_cast<int>(batch);
  if (batch == 1) return launch_gemv_batch<Format, Activation, 1>(weight, x, bias, y, rows, stream);
  if (batch <= 4) return launch_gemv_batch<Format, Activation, 4>(weight, x, bias, y, rows, stream);
  return launch_gemv_batch<Format, Activation, kGemvMaxBatch>(weight, x, bias, y, rows, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
