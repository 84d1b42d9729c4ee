// Products over wgmma whose operands are codes of 8 bits on both sides: tiles of both arrive by
// cp.async and go to the matrix units as they are. Bound: the matrix units, at twice the products
// of bfloat16.
//
// Four tiles of each side take turns: while the products of a step run, those of the next two are
// on their way, and one barrier a step suffices.
#pragma once

#include "kernels/device/formats/stored_scales.h"
#include "kernels/device/wgmma_tile.h"

namespace precis::kernels::PRECIS_DEVICE {

// x is [m][columns], the weight [rows][columns]; columns is a multiple of 16.
struct CodeMatrices {
  const void *x, *weight;
  uint32_t m, rows, columns;
};

template <int Parts>
class CodeTiles {
 public:
  static constexpr int kTileM = 128 * Parts, kStages = 4;
  static constexpr int kBytesA = kTileM * 128, kBytesB = kWgmmaTileN * 128;
  // One more kSwizzleBytes, to align the tiles.
  static constexpr int kSharedBytes =
      kStages * (kBytesA + kBytesB) + static_cast<int>(kSwizzleBytes);
  static_assert(kTileM * kWgmmaOutPitch <= kSharedBytes);

  PRECIS_FUNCTION CodeTiles(const CodeMatrices& codes, unsigned char* unaligned)
      : shared_(unaligned + bytes_to_swizzle(unaligned)),
        x_(codes.x, first_m(), codes.m, codes.columns),
        weight_(codes.weight, first_n(), codes.rows, codes.columns),
        steps_((codes.columns + kWgmmaStepBytes - 1) / kWgmmaStepBytes) {}

  PRECIS_FUNCTION uint32_t first_m() const { return blockIdx.y * kTileM; }
  PRECIS_FUNCTION uint32_t first_n() const { return blockIdx.x * kWgmmaTileN; }
  PRECIS_FUNCTION uint32_t steps() const { return steps_; }
  PRECIS_FUNCTION unsigned char* shared() const { return shared_; }
  PRECIS_FUNCTION unsigned char* a(uint32_t step) const {
    return shared_ + step % kStages * kBytesA;
  }
  PRECIS_FUNCTION unsigned char* b(uint32_t step) const {
    return shared_ + kStages * kBytesA + step % kStages * kBytesB;
  }

  // The tiles of step 0 are there behind it.
  PRECIS_FUNCTION void begin() const {
    for (uint32_t step = 0; step + 1 < kStages; ++step) copy(step);
    async_wait<kStages - 2>();
    wgmma_publish();
    __syncthreads();
  }
  // The tiles of step + 1 are there behind it; all threads have waited for the products before
  // those of `step`, whose tiles are filled anew.
  PRECIS_FUNCTION void next(uint32_t step) const {
    async_wait<kStages - 3>();
    wgmma_publish();
    __syncthreads();
    copy(step + kStages - 1);
  }
  // No thread needs a tile behind it.
  PRECIS_FUNCTION void end() const {
    async_wait<0>();
    wgmma_wait<0>();
    __syncthreads();
  }

 private:
  // Steps beyond the last are zeros.
  PRECIS_FUNCTION void copy(uint32_t step) const {
    x_.start(a(step), step);
    weight_.start(b(step), step);
    async_commit();
  }

  unsigned char* shared_;
  SwizzledCopy<kTileM> x_;
  SwizzledCopy<kWgmmaTileN> weight_;
  uint32_t steps_;
};

// Numbers of a block's rows of x and of the weight.
template <int Parts>
struct alignas(16) BlockRows {
  float x[128 * Parts], weight[kWgmmaTileN];
};

// body(part, i, number of x's row, number of the weight's row) for value i of each of this lane's
// sums.
template <int Parts, class Body>
PRECIS_FUNCTION void for_sums(const BlockRows<Parts>& rows, Body body) {
  using Sum = WarpgroupSum<float>;
  const float* x = rows.x + threadIdx.x / kWarpgroup * (Parts * 64);
  float of_x[Parts][2];
  PRECIS_UNROLL
  for (int part = 0; part < Parts; ++part) PRECIS_UNROLL
  for (int i = 0; i < 2; ++i) of_x[part][i] = x[64 * part + Sum::row(2 * i)];
  PRECIS_UNROLL
  for (int i = 0; i < 64; i += 4) {
    const auto pair = load_vector<Words2>(rows.weight + Sum::column(i));
    PRECIS_UNROLL
    for (int part = 0; part < Parts; ++part) PRECIS_UNROLL
    for (int j = 0; j < 4; ++j)
      body(part, i + j, of_x[part][j / 2], bits_as<float>(pair.words[j % 2]));
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
