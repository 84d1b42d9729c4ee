// y = x W^T with both in float8 E4M3FN and scales for tiles of both.
//
// Codes become float16, which holds them exactly, on their way to the matrix units, and the sums of
// a block of columns with one scale are scaled before they join the total: no matrix unit's own
// float8, so it runs everywhere. Bound: the matrix units at their float16 speed.
#pragma once

#include "kernels/device/float8_product.h"
#include "kernels/device/tile.h"

namespace precis::kernels::PRECIS_DEVICE {

// The codes of a tile that this thread brings to shared memory: the same columns of every
// kRowsApart-th row.
template <int TileRows>
struct Float8Runs {
  static constexpr int kRunsOfRow = kStepBytes / 2 / kRun;
  static constexpr int kRowsApart = kGemmThreads / kRunsOfRow;
  static constexpr int kCount = TileRows / kRowsApart;
  Words2 codes[kCount];

  static PRECIS_FUNCTION uint32_t row(int i) {
    return static_cast<uint32_t>(i * kRowsApart) + threadIdx.x / kRunsOfRow;
  }

  // Codes beyond the last row or column are zeros.
  PRECIS_FUNCTION void load(const uint8_t* matrix, uint32_t rows, uint32_t columns,
                            uint32_t first_row, uint32_t first_column) {
    const uint32_t column = first_column + threadIdx.x % kRunsOfRow * kRun;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const uint32_t from = first_row + row(i);
      const bool inside = from < rows && column < columns;
      codes[i] = Words2{{0, 0}};
      if (inside) codes[i] = load_vector<Words2>(matrix + uint64_t{from} * columns + column);
    }
  }

  PRECIS_FUNCTION void store(unsigned char* tile) const {
    unsigned char* to = tile + row(0) * kPitch + threadIdx.x % kRunsOfRow * 16;
    PRECIS_UNROLL
    for (int i = 0; i < kCount; ++i) {
      float values[kRun];
      PRECIS_UNROLL
      for (int j = 0; j < kRun; ++j)
        values[j] = e4m3fn_value((codes[i].words[j / 4] >> (8 * (j % 4))) & 0xffu);
      store_vector(to + i * kRowsApart * kPitch, pack_8<Half>(values));
    }
  }
};

// total += scale of x * scale of the weight * sums, and sums = 0.
template <class Unit, class Shape>
PRECIS_FUNCTION void add_scaled(TileSums<Unit, Shape, float>& total,
                                TileSums<Unit, Shape, float>& sums, const Float8Product& product,
                                uint32_t first_m, uint32_t first_n, uint32_t column) {
  const int my_team = team(Unit::kLanes);
  const int team_m = (my_team / Shape::kTeamsN) * Shape::kProductsM * 16;
  const int team_n = (my_team % Shape::kTeamsN) * Shape::kProductsN * 16;
  constexpr int kValues = sizeof(typename Unit::template Sum<float>) / sizeof(float);
  PRECIS_UNROLL
  for (int m = 0; m < Shape::kProductsM; ++m) PRECIS_UNROLL
  for (int n = 0; n < Shape::kProductsN; ++n) PRECIS_UNROLL
  for (int i = 0; i < kValues; ++i) {
    const uint32_t row = first_m + static_cast<uint32_t>(team_m + 16 * m + Unit::row(i));
    const uint32_t n_row = first_n + static_cast<uint32_t>(team_n + 16 * n + Unit::column(i));
    float& sum = sums.products[m][n].values[i];
    if (row < product.m && n_row < product.rows) {
      const float scale = tile_scale(product.x.scales, row, column) *
                          tile_scale(product.weight.scales, n_row, column);
      float& to = total.products[m][n].values[i];
      to = fused_multiply_add(scale, sum, to);
    }
    sum = 0;
  }
}

// columns is a multiple of 8; codes are aligned to 8 bytes. bias[rows] or null.
template <class Activation, class Unit, int TileM, int TileN>
__global__ void __launch_bounds__(kGemmThreads, 1)
    float8_gemm_kernel(PRECIS_PARAMETER Float8Product product, const Activation* bias,
                       Activation* y) {
  using Shape = TileShape<Unit, TileM, TileN>;
  PRECIS_DYNAMIC_SHARED(shared);
  unsigned char* tiles_a = shared;
  unsigned char* tiles_b = shared + Shape::kStages * Shape::kBytesA;
  const uint32_t first_m = blockIdx.y * TileM, first_n = blockIdx.x * TileN;
  constexpr uint32_t kStepColumns = kStepBytes / 2;
  const uint32_t steps = (product.columns + kStepColumns - 1) / kStepColumns;
  const uint32_t steps_of_block = (product.block_columns + kStepColumns - 1) / kStepColumns;

  TileSums<Unit, Shape, float> total{}, sums{};
  Float8Runs<TileM> runs_a;
  Float8Runs<TileN> runs_b;
  const auto load = [&](uint32_t step) {
    const uint32_t column = step * kStepColumns;
    runs_a.load(product.x.codes, product.m, product.columns, first_m, column);
    runs_b.load(product.weight.codes, product.rows, product.columns, first_n, column);
  };
  load(0);
  for (uint32_t step = 0; step < steps; ++step) {
    unsigned char* a = tiles_a + step % 2 * Shape::kBytesA;
    unsigned char* b = tiles_b + step % 2 * Shape::kBytesB;
    runs_a.store(a);
    runs_b.store(b);
    __syncthreads();
    if (step + 1 < steps) load(step + 1);
    multiply_tiles<Unit, Half>(sums, a, b);
    if ((step + 1) % steps_of_block == 0 || step + 1 == steps)
      add_scaled<Unit, Shape>(total, sums, product, first_m, first_n, step * kStepColumns);
  }
  __syncthreads();
  write_tile<Unit, Shape>(total, OutputTile{first_m, first_n, product.m, product.rows}, shared, y,
                          [=](float sum, uint32_t, uint32_t column) {
                            return bias == nullptr ? sum : sum + to_float(bias[column]);
                          });
}

template <class Activation, class Unit, int TileM>
const char* launch_float8_gemm_tile(const Float8Product& product, const Activation* bias,
                                    Activation* y, void* stream) {
  constexpr int kTileN = 128;
  const dim3 grid((product.rows + kTileN - 1) / kTileN, (product.m + TileM - 1) / TileM);
  return PRECIS_LAUNCH(
      (float8_gemm_kernel<Activation, Unit, TileM, kTileN>), grid, dim3(kGemmThreads),
      (TileShape<DeviceMatrixUnit, TileM, kTileN>::kSharedBytes), stream, product, bias, y);
}

// The sums of a block and the total take the registers of a tile of 128 rows.
template <class Activation>
const char* launch_float8_gemm(const Float8Product& product, const Activation* bias, Activation* y,
                               void* stream) {
  if (product.m <= 32)
    return launch_float8_gemm_tile<Activation, DeviceMatrixUnit, 32>(product, bias, y, stream);
  return launch_float8_gemm_tile<Activation, DeviceMatrixUnit, 64>(product, bias, y, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
