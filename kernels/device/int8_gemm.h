// y = x W^T with both in int8: LLM.int8() without outliers. Sums are exact integers.
#pragma once

#include "kernels/device/tile.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Int8Product {
  uint32_t m, rows, columns;  // x is [m][columns], the weight [rows][columns], y [m][rows]
  const int8_t* x;
  const float* x_absmax;  // [m]
  const int8_t* weight;
  const float* scb;  // [rows]
  // Columns of outliers behind their number, or null, and x as it was: they are added as floats,
  // with the weight rounded to x's dtype.
  const uint32_t* outliers;
  const void* wide_x;  // [m][columns]
};

template <class Activation>
PRECIS_FUNCTION float add_int8_outliers(const Int8Product& product, float sum, uint32_t x_row,
                                        uint32_t row) {
  constexpr float kInverse127 = 0.007874015718698502f;
  const auto* x =
      static_cast<const Activation*>(product.wide_x) + uint64_t{x_row} * product.columns;
  const int8_t* codes = product.weight + uint64_t{row} * product.columns;
  const uint32_t count = product.outliers[0];
  for (uint32_t i = 1; i <= count; ++i) {
    const uint32_t column = product.outliers[i];
    const float code = static_cast<float>(codes[column]);
    const float weight = to_float(from_float<Activation>(code * product.scb[row] * kInverse127));
    const float term = weight * to_float(x[column]);
    sum = sum + term;
  }
  return sum;
}

// bitsandbytes 0.50 multiplies by this where 1 / (127 * 127) is meant (backends/default/ops.py,
// int8_mm_dequant); its last digits differ.
inline constexpr float kInverse127Squared = 6.200124e-05f;

// columns is a multiple of 16; x and the weight are aligned to 16 bytes. bias[rows] or null.
template <class Activation, class Unit, int TileM, int TileN>
__global__ void __launch_bounds__(kGemmThreads, 2)
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
  write_tile<Unit, Shape>(sums, OutputTile{first_m, first_n, product.m, product.rows}, shared, y,
                          [=](int sum, uint32_t row, uint32_t column) {
                            const float scale = product.x_absmax[row] * product.scb[column];
                            float result = (static_cast<float>(sum) * scale) * kInverse127Squared;
                            if (product.outliers != nullptr)
                              result = add_int8_outliers<Activation>(product, result, row, column);
                            return bias == nullptr ? result : result + to_float(bias[column]);
                          });
}

template <class Activation, class Unit, int TileM>
const char* launch_int8_gemm_tile(const Int8Product& product, const Activation* bias, Activation* y,
                                  void* stream) {
  constexpr int kTileN = 128;
  const dim3 grid((product.rows + kTileN - 1) / kTileN, (product.m + TileM - 1) / TileM);
  return PRECIS_LAUNCH(
      (int8_gemm_kernel<Activation, Unit, TileM, kTileN>), grid, dim3(kGemmThreads),
      (TileShape<DeviceMatrixUnit, TileM, kTileN>::kSharedBytes), stream, product, bias, y);
}

template <class Activation>
const char* launch_int8_gemm(const Int8Product& product, const Activation* bias, Activation* y,
                             void* stream) {
  if (product.m <= 32)
    return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, 32>(product, bias, y, stream);
  return launch_int8_gemm_tile<Activation, DeviceMatrixUnit, kLargeTileM>(product, bias, y, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
