// y = x W^T with both in int8: LLM.int8(), torchao's. Sums are exact integers.
#pragma once

#include "kernels/device/int8_product.h"
#include "kernels/device/tile.h"

namespace precis::kernels::PRECIS_DEVICE {

template <class Unit, class Shape>
PRECIS_FUNCTION void scale_int8_sums(TileSums<Unit, Shape, float>& results,
                                     const TileSums<Unit, Shape, int>& sums,
                                     const Int8Product& product, uint32_t first_m,
                                     uint32_t first_n) {
  PRECIS_UNROLL
  for (int m = 0; m < Shape::kProductsM; ++m) PRECIS_UNROLL
  for (int n = 0; n < Shape::kProductsN; ++n) PRECIS_UNROLL
  for (int i = 0; i < kValuesOf<Unit, int>; ++i)
    results.products[m][n].values[i] = static_cast<float>(sums.products[m][n].values[i]);
  for_tile_values<Unit, Shape>(results, first_m, first_n,
                               [&](float& result, uint32_t x_row, uint32_t row) {
                                 if (x_row >= product.m || row >= product.rows) return;
                                 const float scale = product.x_scales[x_row] * product.scales[row];
                                 result = (result * scale) * product.factor;
                               });
}

// results += the outliers' products, one column after the other, as LLM.int8() adds them.
template <class Unit, class Shape, class Activation>
PRECIS_FUNCTION void add_int8_outliers(TileSums<Unit, Shape, float>& results,
                                       const Int8Product& product, uint32_t first_m,
                                       uint32_t first_n) {
  const uint32_t count = product.outliers[0];
  for (uint32_t outlier = 1; outlier <= count; ++outlier) {
    const uint32_t column = product.outliers[outlier];
    for_tile_values<Unit, Shape>(
        results, first_m, first_n, [&](float& result, uint32_t x_row, uint32_t row) {
          if (x_row >= product.m || row >= product.rows) return;
          const float term = outlier_weight<Activation>(product, row, column) *
                             outlier_x<Activation>(product, x_row, column);
          result = result + term;
        });
  }
}

// columns is a multiple of 16; x and the weight are aligned to 16 bytes. bias[rows] or null.
// Outliers: whether the product has any, for which the results are floats in registers.
template <class Activation, bool Outliers, class Unit, int TileM, int TileN>
__global__ void __launch_bounds__(kGemmThreads, Outliers ? 1 : 2)
    int8_gemm_kernel(Int8Product product, const Activation* bias, Activation* y) {
  using Shape = TileShape<Unit, TileM, TileN>;
  PRECIS_DYNAMIC_SHARED(shared);
  unsigned char* tiles_a = shared;
  unsigned char* tiles_b = shared + Shape::kStages * Shape::kBytesA;
  const uint32_t first_m = blockIdx.y * TileM, first_n = blockIdx.x * TileN;
  const uint32_t steps = (product.columns + kStepBytes - 1) / kStepBytes;
  const auto copy_step = [&](uint32_t step) {
    const uint64_t begin = uint64_t{step} * kStepBytes;
    copy_tile<TileM>(tiles_a + step % 2 * Shape::kBytesA, product.x, first_m, product.m,
                     product.columns, begin);
    copy_tile<TileN>(tiles_b + step % 2 * Shape::kBytesB, product.weight, first_n, product.rows,
                     product.columns, begin);
    async_commit();
  };

  TileSums<Unit, Shape, int> sums{};
  copy_step(0);
  for (uint32_t step = 0; step < steps; ++step) {
    async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) copy_step(step + 1);
    multiply_tiles<Unit, int8_t>(sums, tiles_a + step % 2 * Shape::kBytesA,
                                 tiles_b + step % 2 * Shape::kBytesB);
  }
  __syncthreads();
  const OutputTile tile{first_m, first_n, product.m, product.rows};
  if constexpr (Outliers) {
    TileSums<Unit, Shape, float> results;
    scale_int8_sums<Unit, Shape>(results, sums, product, first_m, first_n);
    add_int8_outliers<Unit, Shape, Activation>(results, product, first_m, first_n);
    write_tile<Unit, Shape>(results, tile, shared, y, [=](float result, uint32_t, uint32_t column) {
      return bias == nullptr ? result : result + to_float(bias[column]);
    });
  } else {
    write_tile<Unit, Shape>(sums, tile, shared, y, [=](int sum, uint32_t row, uint32_t column) {
      const float scale = product.x_scales[row] * product.scales[column];
      const float result = (static_cast<float>(sum) * scale) * product.factor;
      return bias == nullptr ? result : result + to_float(bias[column]);
    });
  }
}

template <class Activation, class Unit, int TileM, bool Outliers = false>
const char* launch_int8_gemm_tile(const Int8Product& product, const Activation* bias, Activation* y,
                                  void* stream) {
  constexpr int kTileN = 128;
  const dim3 grid((product.rows + kTileN - 1) / kTileN, (product.m + TileM - 1) / TileM);
  return PRECIS_LAUNCH(
      (int8_gemm_kernel<Activation, Outliers, Unit, TileM, kTileN>), grid, dim3(kGemmThreads),
      (TileShape<DeviceMatrixUnit, TileM, kTileN>::kSharedBytes), stream, product, bias, y);
}

template <class Activation>
const char* launch_int8_gemm(const Int8Product& product, const Activation* bias, Activation* y,
                             void* stream) {
  if (product.outliers != nullptr) {
    if (product.m <= 32)
      return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, 32, true>(product, bias, y,
                                                                           stream);
    // Results and where they come from take the registers of a larger tile.
    return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, 64, true>(product, bias, y, stream);
  }
  if (product.m <= 32)
    return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, 32>(product, bias, y, stream);
  return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, kLargeTileM>(product, bias, y, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
