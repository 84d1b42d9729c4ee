// y = x W^T + bias for a few rows of x. Bound by the memory that W takes, as far as a weight costs
// few enough instructions: a warp takes two rows of W, so that x is loaded and widened once for
// both, and what depends on a row alone is computed before its columns.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGemvWarps = 4;
inline constexpr int kGemvMaxBatch = 8;

// Runs of a row in flight for each lane. Several rows of x keep a lane at work on half of them.
template <class Format, int Batch>
inline constexpr int kRunsInFlight = [] {
  int runs = 4;
  if constexpr (requires { Format::kInFlight; }) runs = Format::kInFlight;
  return Batch > 1 && runs > 1 ? runs / 2 : runs;
}();

// Rows of W that a warp of gemv_kernel takes. Runs of which one is in flight fill the registers.
template <class Format>
inline constexpr int kRowsOfWarp = [] {
  if constexpr (requires { Format::kRowsOfWarp; })
    return Format::kRowsOfWarp;
  else
    return kRunsInFlight<Format, 1> > 1 ? 2 : 1;
}();

template <class Format>
inline constexpr uint32_t kRowsOfBlock = kGemvWarps* kRowsOfWarp<Format>;

// What Format::load takes for the row.
template <class Format>
PRECIS_FUNCTION auto row_to_load(const typename Format::Weight& weight, uint32_t row) {
  if constexpr (requires { Format::row(weight, row); })
    return Format::row(weight, row);
  else
    return row;
}
template <class Format, class Row>
PRECIS_FUNCTION typename Format::Run load_ahead(const typename Format::Weight& weight,
                                                const Row& row, uint32_t column, uint32_t ahead) {
  if constexpr (std::is_same_v<Row, uint32_t>)
    return Format::load(weight, row, column + ahead);
  else
    return Format::load(weight, row, column, ahead);
}

// sums[b][r] += the eight weights of runs[r] times x[b * columns ...], for the rows of x below
// `batch`.
template <class Format, class Activation, int Batch, int Rows>
PRECIS_FUNCTION void gemv_accumulate(const typename Format::Weight& weight,
                                     const typename Format::Table& table,
                                     const typename Format::Run (&runs)[Rows], const Activation* x,
                                     int batch, float (&sums)[Batch][Rows]) {
  float levels[Rows][kRun];
  Scale scales[Rows];
  PRECIS_UNROLL
  for (int r = 0; r < Rows; ++r) {
    Format::unpack(table, runs[r], levels[r]);
    scales[r] = Format::scale(weight, runs[r]);
    scales[r].scale = Format::factor(scales[r]);
  }
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) {
    if (b > 0 && b >= batch) break;
    float values[kRun];
    load_8(x + uint64_t{weight.columns} * static_cast<unsigned>(b), values);
    float total = 0;
    if constexpr (Format::kShifted) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) total += values[i];
    }
    PRECIS_UNROLL
    for (int r = 0; r < Rows; ++r) {
      float product = 0;
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) product = fused_multiply_add(levels[r][i], values[i], product);
      sums[b][r] = fused_multiply_add(scales[r].scale, product, sums[b][r]);
      if constexpr (Format::kShifted)
        sums[b][r] = fused_multiply_add(scales[r].shift, total, sums[b][r]);
    }
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
  constexpr int kRows = kRowsOfWarp<Format>, kUnroll = kRunsInFlight<Format, Batch>;
  const uint32_t first = (blockIdx.x * kGemvWarps + static_cast<uint32_t>(warp())) * kRows;
  if (first >= weight.rows) return;
  using Row = decltype(row_to_load<Format>(weight, first));
  Row rows[kRows];
  PRECIS_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    // Past the last row, the last once more.
    const uint32_t row = first + r < weight.rows ? first + r : first;
    rows[r] = row_to_load<Format>(weight, row);
  }
  constexpr uint32_t kStep = kWarp * kRun;
  float sums[Batch][kRows] = {};
  uint32_t column = static_cast<uint32_t>(lane()) * kRun;
  for (; column + (kUnroll - 1) * kStep < weight.columns; column += kUnroll * kStep) {
    typename Format::Run runs[kUnroll][kRows];
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i) {
      PRECIS_UNROLL
      for (int r = 0; r < kRows; ++r)
        runs[i][r] = load_ahead<Format>(weight, rows[r], column, i * kStep);
    }
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i)
      gemv_accumulate<Format, Activation, Batch, kRows>(weight, table, runs[i],
                                                        x + column + i * kStep, batch, sums);
  }
  for (; column < weight.columns; column += kStep) {
    typename Format::Run runs[kRows];
    PRECIS_UNROLL
    for (int r = 0; r < kRows; ++r) runs[r] = load_ahead<Format>(weight, rows[r], column, 0);
    gemv_accumulate<Format, Activation, Batch, kRows>(weight, table, runs, x + column, batch, sums);
  }
  PRECIS_UNROLL
  for (uint32_t r = 0; r < kRows; ++r) {
    const uint32_t row = first + r;
    PRECIS_UNROLL
    for (int b = 0; b < Batch; ++b) {
      const float sum = warp_sum(sums[b][r]);
      if (lane() == b && b < batch && row < weight.rows)
        y[uint64_t{weight.rows} * static_cast<unsigned>(b) + row] =
            from_float<Activation>(bias == nullptr ? sum : sum + to_float(bias[row]));
    }
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
  constexpr int kInFlight = kRunsInFlight<Format, 1>,
                kUnroll = Batch > 1 && kInFlight > 2 ? kInFlight / 2 : kInFlight;
  float sums[Batch][1] = {};
  uint32_t column = static_cast<uint32_t>(warp()) * kRun;
  for (; column + (kUnroll - 1) * kStep < weight.columns; column += kUnroll * kStep) {
    typename Format::Run runs[kUnroll][1];
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i)
      runs[i][0] = Format::load(weight, row, column + i * kStep);
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i)
      gemv_accumulate<Format, Activation, Batch, 1>(weight, table, runs[i], x + column + i * kStep,
                                                    batch, sums);
  }
  for (; column < weight.columns; column += kStep) {
    const typename Format::Run runs[1] = {Format::load(weight, row, column)};
    gemv_accumulate<Format, Activation, Batch, 1>(weight, table, runs, x + column, batch, sums);
  }
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) of_warps.sums[warp()][b][lane()] = sums[b][0];
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
                         dim3((weight.rows + kRowsOfBlock<Format> - 1) / kRowsOfBlock<Format>),
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
