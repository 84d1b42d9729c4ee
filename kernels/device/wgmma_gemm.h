// y = x W^T + bias for many rows of x on sm_90a, with W decoded to x's type for wgmma.
//
// 256 rows of x times 128 rows of W for two warpgroups. Products are asynchronous: while those of
// one step run, the same threads decode the next step's codes of W, and the x of the step after
// that is on its way. Three tiles of each take turns. Each decoded weight meets 256 rows, so that
// decoding (about 10 instructions a weight) takes less time than the products.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/matrix_wgmma.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kWgmmaThreads = 2 * kWarpgroup;
inline constexpr int kWgmmaTileM = 256, kWgmmaTileN = 128, kWgmmaStages = 3;
inline constexpr uint32_t kWgmmaStep = 64;  // columns, 128 bytes
inline constexpr int kWgmmaBytesA = kWgmmaTileM * 128, kWgmmaBytesB = kWgmmaTileN * 128;
// One more kSwizzleBytes, to align the tiles.
inline constexpr int kWgmmaSharedBytes =
    kWgmmaStages * (kWgmmaBytesA + kWgmmaBytesB) + static_cast<int>(kSwizzleBytes);
inline constexpr int kWgmmaOutPitch = kWgmmaTileN * 2 + 16;
static_assert(kWgmmaTileM * kWgmmaOutPitch <= kWgmmaSharedBytes);

// Starts copying 256 rows of x, 128 bytes of each; what lies beyond the matrix becomes zero.
PRECIS_FUNCTION void copy_swizzled(unsigned char* to, const void* matrix, uint32_t first,
                                   uint32_t rows, uint64_t row_bytes, uint64_t begin) {
  PRECIS_UNROLL
  for (uint32_t i = 0; i < kWgmmaTileM * 8 / kWgmmaThreads; ++i) {
    const uint32_t at = i * kWgmmaThreads + threadIdx.x, row = at / 8, piece = at % 8;
    const uint64_t byte = begin + 16 * piece;
    const bool inside = first + row < rows && byte < row_bytes;
    const auto* from = static_cast<const unsigned char*>(matrix) +
                       (inside ? (first + row) * row_bytes + byte : uint64_t{0});
    async_copy_16(to + swizzled(row, piece), from, inside ? 16 : 0);
  }
}

// The runs of a tile of W that this thread decodes: the same columns of every 32nd row.
template <class Format>
struct WgmmaRuns {
  static constexpr uint32_t kRowsApart = kWgmmaThreads / 8;
  static constexpr int kCount = kWgmmaTileN / kRowsApart;
  typename Format::Run runs[kCount];
  bool inside;

  PRECIS_FUNCTION void load(const typename Format::Weight& weight, uint32_t first_row,
                            uint32_t first_column) {
    const uint32_t column = first_column + threadIdx.x % 8 * kRun;
    inside = column < weight.columns;
    if (!inside) return;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const uint32_t wanted = first_row + static_cast<uint32_t>(i) * kRowsApart + threadIdx.x / 8;
      runs[i] = Format::load(weight, wanted < weight.rows ? wanted : weight.rows - 1, column);
    }
  }

  template <class Activation>
  PRECIS_FUNCTION void store(const typename Format::Weight& weight,
                             const typename Format::Table& table, unsigned char* tile) const {
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      float values[kRun] = {};
      if (inside) decode<Format>(weight, table, runs[i], values);
      const uint32_t row = static_cast<uint32_t>(i) * kRowsApart + threadIdx.x / 8;
      store_vector(tile + swizzled(row, threadIdx.x % 8), pack_8<Activation>(values));
    }
  }
};

// The products of one step for this warpgroup's 128 rows.
template <class Activation>
PRECIS_FUNCTION void start_products(WarpgroupSum (&sums)[2], const unsigned char* a,
                                    const unsigned char* b) {
  const unsigned char* mine = a + threadIdx.x / kWarpgroup * 128 * 128;
  const uint64_t left[2] = {descriptor_of(mine), descriptor_of(mine + 64 * 128)};
  const uint64_t right = descriptor_of(b);
  wgmma_fence();
  PRECIS_UNROLL
  for (uint64_t k = 0; k < 8; k += 2) {  // 32 bytes, in units of 16
    wgmma_multiply<Activation>(sums[0], left[0] + k, right + k);
    wgmma_multiply<Activation>(sums[1], left[1] + k, right + k);
  }
  wgmma_commit();
}

// Sums to y by way of shared memory, in which no thread may still need a tile.
template <class Activation>
PRECIS_FUNCTION void write_warpgroups(const WarpgroupSum (&sums)[2], unsigned char* shared,
                                      const Activation* bias, Activation* y, uint32_t first_m,
                                      uint32_t first_n, uint32_t m, uint32_t n) {
  const int first_row = static_cast<int>(threadIdx.x) / kWarpgroup * 128;
  PRECIS_UNROLL
  for (int half = 0; half < 2; ++half) PRECIS_UNROLL
  for (int i = 0; i < 64; i += 2) {
    const int row = first_row + 64 * half + WarpgroupSum::row(i);
    const uint32_t column = first_n + static_cast<uint32_t>(WarpgroupSum::column(i));
    float pair[2] = {sums[half].values[i], sums[half].values[i + 1]};
    if (bias != nullptr) {
      if (column < n) pair[0] += to_float(bias[column]);
      if (column + 1 < n) pair[1] += to_float(bias[column + 1]);
    }
    store_vector(shared + row * kWgmmaOutPitch + WarpgroupSum::column(i) * 2,
                 pack<Activation>(pair[0], pair[1]));
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < kWgmmaTileM * kWgmmaTileN / 8; i += kWgmmaThreads) {
    const uint32_t row = i / (kWgmmaTileN / 8), piece = i % (kWgmmaTileN / 8);
    const uint32_t column = first_n + 8 * piece;
    if (first_m + row >= m || column >= n) continue;
    const unsigned char* from = shared + row * kWgmmaOutPitch + 16 * piece;
    Activation* to = y + uint64_t{first_m + row} * n + column;
    if (n % 8 == 0) {
      store_vector(to, load_vector<Words4>(from));
    } else {
      for (uint32_t j = 0; j < 8 && column + j < n; ++j)
        to[j] = reinterpret_cast<const Activation*>(from)[j];
    }
  }
}

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
  const uint64_t row_bytes = uint64_t{weight.columns} * 2;
  const uint32_t steps = (weight.columns + kWgmmaStep - 1) / kWgmmaStep;
  const auto copy_x = [&](uint32_t step) {
    if (step < steps)
      copy_swizzled(tile_a(step), x, first_m, m, row_bytes, uint64_t{step} * kWgmmaStep * 2);
    async_commit();
  };

  WarpgroupSum sums[2] = {};
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
    start_products<Activation>(sums, tile_a(step), tile_b(step));
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
