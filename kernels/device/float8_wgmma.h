// float8_gemm.h's product over wgmma, on sm_90a: 128 rows of x times 128 rows of the weight.
//
// The matrix units add float8 products up with about 14 bits, so the sums of each step of 128
// columns are scaled and added to float32 totals: those of the first of two steps while the
// products of the second run. Products that run across the end of the loop's body would be
// serialized by ptxas (C7514).
#pragma once

#include "kernels/device/float8_product.h"
#include "kernels/device/wgmma_codes.h"

namespace precis::kernels::PRECIS_DEVICE {

using Float8Tiles = CodeTiles<1>;
using Float8Sums = WarpgroupSum<float>[1];

// Scales of activations are float32.
PRECIS_FUNCTION float x_scale(const Float8Product& product, uint32_t row, uint32_t column) {
  const TileScales& scales = product.x.scales;
  return static_cast<const float*>(scales.scales)[tile_of(scales, row, column)];
}

// What this thread's two rows of sums of a step are multiplied by.
struct StepFactors {
  float rows[2];

  // Within the matrices: what lies beyond them has sums of 0, or is not written.
  PRECIS_FUNCTION void load(const Float8Product& product, const Float8Tiles& tiles, uint32_t step) {
    const uint32_t last = product.columns - 1, begin = step * kWgmmaStepBytes;
    const uint32_t column = begin < last ? begin : last;
    const float of_weight = tile_scale(product.weight.scales, tiles.first_n(), column);
    PRECIS_UNROLL
    for (int i = 0; i < 2; ++i) {
      const uint32_t row = tiles.first_m() + threadIdx.x / kWarpgroup * 64 +
                           static_cast<uint32_t>(WarpgroupSum<float>::row(2 * i));
      rows[i] = of_weight * x_scale(product, row < product.m ? row : product.m - 1, column);
    }
  }
};

// By tiles: total += factors * sums; else the scales of whole rows wait for the end.
template <bool Tiles>
PRECIS_FUNCTION void add_to_total(Float8Sums& total, const Float8Sums& sums,
                                  const StepFactors& factors) {
  PRECIS_UNROLL
  for (int i = 0; i < 64; ++i) {
    float& to = total[0].values[i];
    const float sum = sums[0].values[i];
    to = Tiles ? fused_multiply_add(factors.rows[i / 2 % 2], sum, to) : to + sum;
  }
}

// total *= the scales of whole rows. No thread may still need a tile.
PRECIS_FUNCTION void scale_rows(Float8Sums& total, const Float8Product& product,
                                const Float8Tiles& tiles) {
  auto& scales = *reinterpret_cast<BlockRows<1>*>(tiles.shared());
  const uint32_t place = threadIdx.x % 128, of_x = tiles.first_m() + place,
                 of_weight = tiles.first_n() + place;
  if (threadIdx.x < 128)
    scales.x[place] = of_x < product.m ? x_scale(product, of_x, 0) : 0.0f;
  else
    scales.weight[place] =
        of_weight < product.rows ? tile_scale(product.weight.scales, of_weight, 0) : 0.0f;
  __syncthreads();
  for_sums(scales, [&](int part, int i, float x, float weight) {
    total[part].values[i] = total[part].values[i] * (x * weight);
  });
  __syncthreads();
}

// columns is a multiple of 16. Tiles: a block of columns is a multiple of 128, and so are the rows
// of the weight's tile, or it has them all; else scales are of whole rows. bias[rows] or null.
template <class Activation, bool Tiles>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    float8_wgmma_kernel(PRECIS_PARAMETER Float8Product product, const Activation* bias,
                        Activation* y) {
  PRECIS_DYNAMIC_SHARED(unaligned);
  const Float8Tiles tiles(
      {product.x.codes, product.weight.codes, product.m, product.rows, product.columns}, unaligned);
  StepFactors factors[2] = {};
  const auto load_factors = [&](uint32_t step) {
    if constexpr (Tiles)
      for (uint32_t i = 0; i < 2; ++i) factors[i].load(product, tiles, step + i);
  };

  Float8Sums total = {}, even, odd;
  const uint32_t steps = tiles.steps();
  load_factors(0);
  tiles.begin();
  for (uint32_t step = 0; step < steps; step += 2) {
    start_products<E4M3>(even, tiles.a(step), tiles.b(step), false);
    tiles.next(step);
    start_products<E4M3>(odd, tiles.a(step + 1), tiles.b(step + 1), false);
    wgmma_wait<1>();
    add_to_total<Tiles>(total, even, factors[0]);
    wgmma_wait<0>();
    add_to_total<Tiles>(total, odd, factors[1]);
    load_factors(step + 2);
    tiles.next(step + 1);
  }
  tiles.end();
  if constexpr (!Tiles) scale_rows(total, product, tiles);
  write_warpgroups(total, tiles.shared(), bias, y, tiles.first_m(), tiles.first_n(), product.m,
                   product.rows);
}

inline bool whole_rows(const Float8Product& product) {
  return product.block_columns >= product.columns;
}

// Whether there is a kernel for the product's shape.
inline bool has_float8_wgmma(const Float8Product& product) {
  const bool tiles = product.block_columns % kWgmmaStepBytes == 0 &&
                     (1u << product.weight.scales.row_shift) >= kWgmmaTileN;
  return product.columns % 16 == 0 && product.columns < kWgmmaRowBytes &&
         (whole_rows(product) || tiles);
}

template <class Activation>
const char* launch_float8_wgmma(const Float8Product& product, const Activation* bias, Activation* y,
                                void* stream) {
  const dim3 grid((product.rows + kWgmmaTileN - 1) / kWgmmaTileN,
                  (product.m + Float8Tiles::kTileM - 1) / Float8Tiles::kTileM);
  const dim3 block(kWgmmaThreads);
  if (whole_rows(product))
    return PRECIS_LAUNCH((float8_wgmma_kernel<Activation, false>), grid, block,
                         Float8Tiles::kSharedBytes, stream, product, bias, y);
  return PRECIS_LAUNCH((float8_wgmma_kernel<Activation, true>), grid, block,
                       Float8Tiles::kSharedBytes, stream, product, bias, y);
}

}  // namespace precis::kernels::PRECIS_DEVICE
