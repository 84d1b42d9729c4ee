// What the kernels over wgmma share: copying tiles, products of a step, writing the result.
//
// Two warpgroups compute 128 * Parts rows of x times 128 rows of the weight, each 64 * Parts rows.
// A step along k takes 128 bytes of each row.
#pragma once

#include "kernels/device/matrix_wgmma.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kWgmmaThreads = 2 * kWarpgroup;
inline constexpr int kWgmmaTileN = 128;
inline constexpr uint32_t kWgmmaStepBytes = 128;
inline constexpr int kWgmmaOutPitch = kWgmmaTileN * 2 + 16;

// Rows of a matrix have fewer bytes than this, so that steps of addresses fit 32 bits.
inline constexpr uint64_t kWgmmaRowBytes = uint64_t{1} << 27;

// Copies `Rows` rows of a matrix to swizzled tiles; what lies beyond the matrix becomes zero. A
// thread takes the same 16 bytes of every 32nd row, four instructions each.
template <int Rows>
class SwizzledCopy {
 public:
  PRECIS_FUNCTION SwizzledCopy(const void* matrix, uint32_t first, uint32_t rows,
                               uint32_t row_bytes)
      : row_bytes_(row_bytes), piece_(threadIdx.x % 8) {
    const uint32_t row = threadIdx.x / 8, from = first + row, left = from < rows ? rows - from : 0;
    from_ = static_cast<const unsigned char*>(matrix) + uint64_t{from} * row_bytes + 16 * piece_;
    count_ = (left + kApart - 1) / kApart;
    to_ = swizzled(row, piece_);
  }

  // Starts with bytes [128 step, 128 step + 128) of the rows.
  PRECIS_FUNCTION void start(unsigned char* tile, uint32_t step) const {
    const uint32_t begin = step * kWgmmaStepBytes;
    const uint32_t count = begin + 16 * piece_ < row_bytes_ ? count_ : 0;
    PRECIS_UNROLL
    for (uint32_t i = 0; i < Rows / kApart; ++i)
      async_copy_16(tile + to_ + i * kApart * 128,
                    from_ + begin + uint64_t{i} * (kApart * row_bytes_), i < count ? 16 : 0);
  }

 private:
  static constexpr uint32_t kApart = kWgmmaThreads / 8;
  const unsigned char* from_;
  uint32_t row_bytes_, piece_, count_, to_;
};

// The products of one step for this warpgroup's rows. add: to the sums there are; sums that begin
// as zeros in registers would be serialized by ptxas (C7515).
template <class Element, int Parts>
PRECIS_FUNCTION void start_products(WgmmaSum<Element> (&sums)[Parts], const unsigned char* a,
                                    const unsigned char* b, bool add) {
  const unsigned char* mine = a + threadIdx.x / kWarpgroup * (Parts * 64 * 128);
  const uint64_t right = descriptor_of(b);
  wgmma_fence();
  PRECIS_UNROLL
  for (int k = 0; k < 8; k += 2) {  // 32 bytes, in units of 16
    PRECIS_UNROLL
    for (int part = 0; part < Parts; ++part) {
      const uint64_t left = descriptor_of(mine + part * 64 * 128);
      wgmma_multiply<Element>(sums[part], left + static_cast<uint64_t>(k),
                              right + static_cast<uint64_t>(k), add || k > 0);
    }
  }
  wgmma_commit();
}

// Sums to y by way of shared memory, in which no thread may still need a tile.
template <class Activation, int Parts>
PRECIS_FUNCTION void write_warpgroups(const WarpgroupSum<float> (&sums)[Parts],
                                      unsigned char* shared, const Activation* bias, Activation* y,
                                      uint32_t first_m, uint32_t first_n, uint32_t m, uint32_t n) {
  using Sum = WarpgroupSum<float>;
  const int first_row = static_cast<int>(threadIdx.x) / kWarpgroup * (Parts * 64);
  PRECIS_UNROLL
  for (int part = 0; part < Parts; ++part) PRECIS_UNROLL
  for (int i = 0; i < 64; i += 2) {
    const int row = first_row + 64 * part + Sum::row(i);
    const uint32_t column = first_n + static_cast<uint32_t>(Sum::column(i));
    float pair[2] = {sums[part].values[i], sums[part].values[i + 1]};
    if (bias != nullptr) {
      if (column < n) pair[0] += to_float(bias[column]);
      if (column + 1 < n) pair[1] += to_float(bias[column + 1]);
    }
    store_vector(shared + row * kWgmmaOutPitch + Sum::column(i) * 2,
                 pack<Activation>(pair[0], pair[1]));
  }
  __syncthreads();
  constexpr uint32_t kPieces = kWgmmaTileN / 8;
  for (uint32_t i = threadIdx.x; i < Parts * 128 * kPieces; i += kWgmmaThreads) {
    const uint32_t row = i / kPieces, piece = i % kPieces;
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

}  // namespace precis::kernels::PRECIS_DEVICE
