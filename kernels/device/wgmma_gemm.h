// y = x W^T + bias for many rows of x on sm_90a, with W decoded to x's type for wgmma.
//
// 256 rows of x times 128 rows of W for two warpgroups. Products are asynchronous: while those of
// one step run, the same threads decode the next step's codes of W, and the x of the step after
// that is on its way. Three tiles of each take turns. Each decoded weight meets 256 rows, so that
// decoding (about 10 instructions a weight) takes less time than the products.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/wgmma_tile.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kWgmmaTileM = 256, kWgmmaStages = 3;
inline constexpr uint32_t kWgmmaStep = 64;  // columns, 128 bytes
inline constexpr int kWgmmaBytesA = kWgmmaTileM * 128, kWgmmaBytesB = kWgmmaTileN * 128;
// One more kSwizzleBytes, to align the tiles.
inline constexpr int kWgmmaSharedBytes =
    kWgmmaStages * (kWgmmaBytesA + kWgmmaBytesB) + static_cast<int>(kSwizzleBytes);
static_assert(kWgmmaTileM * kWgmmaOutPitch <= kWgmmaSharedBytes);

// The runs of a tile of W that this thread decodes: the same columns of every 32nd row.
template <class Format>
struct WgmmaRuns {
  static constexpr uint32_t kRowsApart = kWgmmaThreads / 8;
  static constexpr int kCount = kWgmmaTileN / kRowsApart;
  typename Format::Run runs[kCount];
  bool inside;

  PRECIS_FUNCTION void load(const typename Format::Weight& weight, uint32_t first_row,
                            uint32_t first_column) {
    const uint32_t column = first_column + run_of_thread<Format>() * kRun;
    inside = column < weight.columns;
    if (!inside) return;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const uint32_t wanted =
          first_row + static_cast<uint32_t>(i) * kRowsApart + row_of_thread<Format>();
      runs[i] = Format::load(weight, wanted < weight.rows ? wanted : weight.rows - 1, column);
    }
  }

  template <class Activation>
  PRECIS_FUNCTION void store(const typename Format::Weight& weight,
                             const typename Format::Table& table, unsigned char* tile) const {
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      float values[kRun] = {};
      if (inside) decode<Format, Activation>(weight, table, runs[i], values);
      const uint32_t row = static_cast<uint32_t>(i) * kRowsApart + row_of_thread<Format>();
      store_vector(tile + swizzled(row, run_of_thread<Format>()), pack_8<Activation>(values));
    }
  }
};

// As gemm.h's kernel: the same rounding of weights, the same bound of the sums.
template <class Format, class Activation>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    wgmma_gemm_kernel(PRECIS_PARAMETER typename Format::Weight weight, const Activation* x,
                      const Activation* bias, Activation* y, uint32_t m) {
  PRECIS_SHARED(typename Format::Table, table);
  PRECIS_DYNAMIC_SHARED(unaligned);
  unsigned char* shared = unaligned + bytes_to_swizzle(unaligned);
  unsigned char* tiles_b = shared + kWgmmaStages * kWgmmaBytesA;
  const auto tile_a = [&](uint32_t step) { return shared + step % kWgmmaStages * kWgmmaBytesA; };
  const auto tile_b = [&](uint32_t step) { return tiles_b + step % kWgmmaStages * kWgmmaBytesB; };
  Format::fill(table, weight);
  const uint32_t first_m = blockIdx.y * kWgmmaTileM, first_n = blockIdx.x * kWgmmaTileN;
  const uint32_t steps = (weight.columns + kWgmmaStep - 1) / kWgmmaStep;
  const SwizzledCopy<kWgmmaTileM> rows_of_x(x, first_m, m, weight.columns * 2);
  const auto copy_x = [&](uint32_t step) {
    if (step < steps) rows_of_x.start(tile_a(step), step);
    async_commit();
  };

  WarpgroupSum<float> sums[2];
  WgmmaRuns<Format> runs;
  copy_x(0);
  copy_x(1);
  runs.load(weight, first_n, 0);
  __syncthreads();  // the table
  runs.template store<Activation>(weight, table, tile_b(0));
  runs.load(weight, first_n, kWgmmaStep);
  async_wait<1>();
  wgmma_publish();
  __syncthreads();
  for (uint32_t step = 0; step < steps; ++step) {
    start_products<Activation>(sums, tile_a(step), tile_b(step), step > 0);
    if (step + 1 < steps) {
      runs.template store<Activation>(weight, table, tile_b(step + 1));
      runs.load(weight, first_n, (step + 2) * kWgmmaStep);
    }
    async_wait<0>();  // x of the next step
    wgmma_wait<1>();  // the products before these: their tiles are free behind the barrier
    wgmma_publish();
    __syncthreads();
    copy_x(step + 2);
  }
  async_wait<0>();
  wgmma_wait<0>();
  __syncthreads();
  write_warpgroups(sums, shared, bias, y, first_m, first_n, m, weight.rows);
}

template <class Format, class Activation>
const char* launch_wgmma_gemm(const typename Format::Weight& weight, const Activation* x,
                              const Activation* bias, Activation* y, uint32_t m, void* stream) {
  const dim3 grid((weight.rows + kWgmmaTileN - 1) / kWgmmaTileN,
                  (m + kWgmmaTileM - 1) / kWgmmaTileM);
  return PRECIS_LAUNCH((wgmma_gemm_kernel<Format, Activation>), grid, dim3(kWgmmaThreads),
                       kWgmmaSharedBytes, stream, weight, x, bias, y, m);
}

}  // namespace precis::kernels::PRECIS_DEVICE
