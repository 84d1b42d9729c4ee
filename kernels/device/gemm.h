// y = x W^T + bias for many rows of x, with W decoded to x's type on the way to the matrix units.
//
// While the matrix units work on one tile, the next tile of x is copied asynchronously and the next
// codes of W are on their way to registers. Bound: the matrix units from about 300 rows of x on,
// below that the memory that W takes.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/tile.h"

namespace precis::kernels::PRECIS_DEVICE {

// The runs of a tile of W that this thread brings to shared memory: the same columns of every
// kRowsApart-th row.
template <class Format, int TileN>
struct TileRuns {
  static constexpr int kRunsOfRow = kStepBytes / 2 / kRun;
  static constexpr int kRowsApart = kGemmThreads / kRunsOfRow;
  static constexpr int kCount = TileN / kRowsApart;
  static_assert(kRunsOfRow == 8 && kGemmThreads == 256);
  typename Format::Run runs[kCount];
  bool inside;  // whether the columns are; x is zero beyond them, but a NaN times zero is none

  static PRECIS_FUNCTION uint32_t row(int i) {
    return static_cast<uint32_t>(i * kRowsApart) + row_of_thread<Format>();
  }

  PRECIS_FUNCTION void load(const typename Format::Weight& weight, uint32_t first_row,
                            uint32_t first_column) {
    const uint32_t column = first_column + run_of_thread<Format>() * kRun;
    inside = column < weight.columns;
    if (!inside) return;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      // Rows beyond the last give columns of y that nobody writes.
      const uint32_t wanted = first_row + row(i), last = weight.rows - 1;
      runs[i] = Format::load(weight, wanted < last ? wanted : last, column);
    }
  }

  template <class Activation>
  PRECIS_FUNCTION void store(const typename Format::Weight& weight,
                             const typename Format::Table& table, unsigned char* tile) const {
    unsigned char* to = tile + row(0) * kPitch + run_of_thread<Format>() * 16;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      float values[kRun] = {};
      if (inside) decode<Format, Activation>(weight, table, runs[i], values);
      store_vector(to + i * kRowsApart * kPitch, pack_8<Activation>(values));
    }
  }
};

// Blocks on a multiprocessor that registers are kept for: runs of many words leave room for one.
template <class Format>
inline constexpr int kGemmBlocks = sizeof(typename Format::Run) > 16 ? 1 : 2;

// x[m][columns], y[m][rows], bias[rows] or null; columns is a multiple of 8 and x is aligned to 16
// bytes. Each decoded weight is rounded to Activation. Sums are float32 in the matrix unit's order:
// the error is below columns * 2^-23 * sum |w x| before y is rounded.
template <class Format, class Activation, class Unit, int TileM, int TileN>
__global__ void __launch_bounds__(kGemmThreads, kGemmBlocks<Format>)
    gemm_kernel(PRECIS_PARAMETER typename Format::Weight weight, const Activation* x,
                const Activation* bias, Activation* y, uint32_t m) {
  using Shape = TileShape<Unit, TileM, TileN>;
  PRECIS_SHARED(typename Format::Table, table);
  PRECIS_DYNAMIC_SHARED(shared);
  Format::fill(table, weight);
  unsigned char* tiles_a = shared;
  unsigned char* tiles_b = shared + Shape::kStages * Shape::kBytesA;
  const uint32_t first_m = blockIdx.y * TileM, first_n = blockIdx.x * TileN;
  const uint64_t row_bytes = uint64_t{weight.columns} * 2;
  const uint32_t steps = (weight.columns + kStepBytes / 2 - 1) / (kStepBytes / 2);

  TileSums<Unit, Shape, float> sums{};
  TileRuns<Format, TileN> runs;
  copy_tile<TileM>(tiles_a, x, first_m, m, row_bytes, 0);
  async_commit();
  runs.load(weight, first_n, 0);
  __syncthreads();  // the table
  for (uint32_t step = 0; step < steps; ++step) {
    unsigned char* a = tiles_a + step % 2 * Shape::kBytesA;
    unsigned char* b = tiles_b + step % 2 * Shape::kBytesB;
    runs.template store<Activation>(weight, table, b);
    async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) {
      const uint32_t column = (step + 1) * (kStepBytes / 2);
      copy_tile<TileM>(tiles_a + (step + 1) % 2 * Shape::kBytesA, x, first_m, m, row_bytes,
                       uint64_t{column} * 2);
      async_commit();
      runs.load(weight, first_n, column);
    }
    multiply_tiles<Unit, Activation>(sums, a, b);
  }
  __syncthreads();
  write_tile<Unit, Shape>(sums, OutputTile{first_m, first_n, m, weight.rows}, shared, y,
                          [=](float sum, uint32_t, uint32_t column) {
                            return bias == nullptr ? sum : sum + to_float(bias[column]);
                          });
}

inline constexpr int kGemmTileN = 128;
// Rows of x that the tile of a large product takes: fewer where a format's runs leave no registers.
template <class Format>
inline constexpr int kMostTileM = kLargeTileM;

template <class Format, class Activation, class Unit, int TileM>
const char* launch_gemm_tile(const typename Format::Weight& weight, const Activation* x,
                             const Activation* bias, Activation* y, uint32_t m, void* stream) {
  const dim3 grid((weight.rows + kGemmTileN - 1) / kGemmTileN, (m + TileM - 1) / TileM);
  return PRECIS_LAUNCH((gemm_kernel<Format, Activation, Unit, TileM, kGemmTileN>), grid,
                       dim3(kGemmThreads),
                       (TileShape<DeviceMatrixUnit, TileM, kGemmTileN>::kSharedBytes), stream,
                       weight, x, bias, y, m);
}

template <class Format, class Activation>
const char* launch_gemm(const typename Format::Weight& weight, const Activation* x,
                        const Activation* bias, Activation* y, uint32_t m, void* stream) {
  if (m <= 32)
    return launch_gemm_tile<Format, Activation, DeviceMatrixUnit, 32>(weight, x, bias, y, m,
                                                                      stream);
  return launch_gemm_tile<Format, Activation, DeviceMatrixUnit, kMostTileM<Format>>(weight, x, bias,
                                                                                    y, m, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
