// int8_gemm.h's product over wgmma, on sm_90a: 256 or 128 rows of x times 128 rows of the weight.
#pragma once

#include "kernels/device/int8_product.h"
#include "kernels/device/wgmma_codes.h"

namespace precis::kernels::PRECIS_DEVICE {

// The numbers of some outliers, in shared memory.
template <int Parts>
struct OutlierBatch {
  static constexpr uint32_t kColumns = 8;
  BlockRows<Parts> columns[kColumns];

  template <class Activation>
  PRECIS_FUNCTION void load(const Int8Product& product, uint32_t first, uint32_t count,
                            uint32_t first_m, uint32_t first_n) {
    constexpr uint32_t kRows = 128 * Parts;
    for (uint32_t i = threadIdx.x; i < count * (kRows + kWgmmaTileN); i += kWgmmaThreads) {
      const uint32_t outlier = i / (kRows + kWgmmaTileN), place = i % (kRows + kWgmmaTileN);
      const uint32_t column = product.outliers[1 + first + outlier];
      if (place < kRows) {
        const uint32_t row = first_m + place;
        columns[outlier].x[place] =
            row < product.m ? outlier_x<Activation>(product, row, column) : 0.0f;
      } else {
        const uint32_t row = first_n + place - kRows;
        columns[outlier].weight[place - kRows] =
            row < product.rows ? outlier_weight<Activation>(product, row, column) : 0.0f;
      }
    }
  }
};

// results += the outliers' products, one column after the other, as LLM.int8() adds them. No
// thread may still need a tile.
template <class Activation, int Parts>
PRECIS_FUNCTION void add_outliers(WarpgroupSum<float> (&results)[Parts], const Int8Product& product,
                                  const CodeTiles<Parts>& tiles) {
  auto& batch = *reinterpret_cast<OutlierBatch<Parts>*>(tiles.shared());
  static_assert(sizeof batch <= CodeTiles<Parts>::kSharedBytes);
  const uint32_t total = product.outliers[0];
  for (uint32_t first = 0; first < total; first += batch.kColumns) {
    const uint32_t left = total - first, count = left < batch.kColumns ? left : batch.kColumns;
    batch.template load<Activation>(product, first, count, tiles.first_m(), tiles.first_n());
    __syncthreads();
    for (uint32_t i = 0; i < count; ++i)
      for_sums(batch.columns[i], [&](int part, int j, float x, float weight) {
        const float term = weight * x;
        results[part].values[j] = results[part].values[j] + term;
      });
    __syncthreads();
  }
}

// columns is a multiple of 16; x and the weight are aligned to 16 bytes. bias[rows] or null.
template <class Activation, int Parts>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    int8_wgmma_kernel(PRECIS_PARAMETER Int8Product product, const Activation* bias, Activation* y) {
  using Tiles = CodeTiles<Parts>;
  using Scales = BlockRows<Parts>;
  PRECIS_SHARED(Scales, scales);
  PRECIS_DYNAMIC_SHARED(unaligned);
  const Tiles tiles({product.x, product.weight, product.m, product.rows, product.columns},
                    unaligned);
  for (uint32_t i = threadIdx.x; i < Tiles::kTileM; i += kWgmmaThreads)
    scales.x[i] = tiles.first_m() + i < product.m ? product.x_scales[tiles.first_m() + i] : 0.0f;
  if (threadIdx.x < kWgmmaTileN) {
    const uint32_t row = tiles.first_n() + threadIdx.x;
    scales.weight[threadIdx.x] = row < product.rows ? product.scales[row] : 0.0f;
  }

  WarpgroupSum<int> sums[Parts];
  const uint32_t steps = tiles.steps();
  tiles.begin();
  for (uint32_t step = 0; step < steps; ++step) {
    start_products<int8_t>(sums, tiles.a(step), tiles.b(step), step > 0);
    wgmma_wait<1>();
    tiles.next(step);
  }
  tiles.end();
  WarpgroupSum<float> results[Parts];
  for_sums(scales, [&](int part, int i, float x, float weight) {
    const auto sum = static_cast<float>(sums[part].values[i]);
    results[part].values[i] = (sum * (x * weight)) * product.factor;
  });
  if (product.outliers != nullptr) add_outliers<Activation>(results, product, tiles);
  write_warpgroups(results, tiles.shared(), bias, y, tiles.first_m(), tiles.first_n(), product.m,
                   product.rows);
}

template <class Activation, int Parts>
const char* launch_int8_wgmma_tile(const Int8Product& product, const Activation* bias,
                                   Activation* y, void* stream) {
  using Tiles = CodeTiles<Parts>;
  const dim3 grid((product.rows + kWgmmaTileN - 1) / kWgmmaTileN,
                  (product.m + Tiles::kTileM - 1) / Tiles::kTileM);
  return PRECIS_LAUNCH((int8_wgmma_kernel<Activation, Parts>), grid, dim3(kWgmmaThreads),
                       Tiles::kSharedBytes, stream, product, bias, y);
}

template <class Activation>
const char* launch_int8_wgmma(const Int8Product& product, const Activation* bias, Activation* y,
                              void* stream) {
  if (product.m <= 128) return launch_int8_wgmma_tile<Activation, 1>(product, bias, y, stream);
  return launch_int8_wgmma_tile<Activation, 2>(product, bias, y, stream);
}

}  // namespace precis::kernels::PRECIS_DEVICE
