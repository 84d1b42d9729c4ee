// y = x W^T of int8 codes and ternary numbers, which are read where they are stored: the four
// numbers of a byte are of rows that lie a quarter of the weight apart, and meet the same codes of
// x. Sums are exact integers.
#pragma once

#include "kernels/device/gemv.h"
#include "kernels/device/tile.h"

namespace precis::kernels::PRECIS_DEVICE {

struct TernaryProduct {
  uint32_t m, quarter, columns, stride;  // x is [m][stride], y [m][4 * quarter]
  const int8_t* x;                       // zeros from `columns` on
  const float* x_scales;                 // [m]
  const uint8_t* weight;                 // [quarter][columns], numbers from -1 on
  float step;

  PRECIS_FUNCTION uint32_t rows() const { return 4 * quarter; }
};

template <class Activation>
PRECIS_FUNCTION Activation ternary_result(const TernaryProduct& product, int sum, uint32_t x_row,
                                          uint32_t row, const Activation* bias) {
  const float result = static_cast<float>(sum) * (product.x_scales[x_row] * product.step);
  return from_float<Activation>(bias == nullptr ? result : result + to_float(bias[row]));
}

// sums[b][k] += eight numbers of quarter k times x[b][column ...], for the rows of x below m. Codes
// from 0 on are multiplied, and the sum of x taken off.
template <int Batch>
PRECIS_FUNCTION void ternary_accumulate(const TernaryProduct& product, const Words2& bytes,
                                        uint32_t column, int (&sums)[Batch][4]) {
  constexpr uint32_t kCodes = 0x03030303u, kOnes = 0x01010101u;
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) {
    if (static_cast<uint32_t>(b) >= product.m) break;
    const auto x = load_vector<Words2>(
        product.x + uint64_t{product.stride} * static_cast<unsigned>(b) + column);
    const int total = dot_of_bytes(x.words[0], kOnes, dot_of_bytes(x.words[1], kOnes, 0));
    PRECIS_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int first =
          dot_of_bytes(x.words[0], bytes.words[0] >> (2 * k) & kCodes, sums[b][k] - total);
      sums[b][k] = dot_of_bytes(x.words[1], bytes.words[1] >> (2 * k) & kCodes, first);
    }
  }
}

// At most Batch rows of x: one warp for each row of bytes, which are four rows of the weight. Bound
// by the memory that the weight takes.
template <class Activation, int Batch>
__global__ void __launch_bounds__(kGemvWarps* kWarp)
    ternary_gemv_kernel(PRECIS_PARAMETER TernaryProduct product, const Activation* bias,
                        Activation* y) {
  const uint32_t row = blockIdx.x * kGemvWarps + static_cast<uint32_t>(warp());
  if (row >= product.quarter) return;
  constexpr uint32_t kStep = kWarp * kRun;
  constexpr int kUnroll = 4;
  const uint8_t* codes = product.weight + uint64_t{row} * product.columns;
  int sums[Batch][4] = {};
  uint32_t column = static_cast<uint32_t>(lane()) * kRun;
  for (; column + (kUnroll - 1) * kStep < product.columns; column += kUnroll * kStep) {
    Words2 bytes[kUnroll];
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i)
      bytes[i] = load_vector<Words2>(codes + column + i * kStep);
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kUnroll; ++i)
      ternary_accumulate<Batch>(product, bytes[i], column + i * kStep, sums);
  }
  for (; column < product.columns; column += kStep)
    ternary_accumulate<Batch>(product, load_vector<Words2>(codes + column), column, sums);
  PRECIS_UNROLL
  for (int b = 0; b < Batch; ++b) PRECIS_UNROLL
  for (int k = 0; k < 4; ++k) {
    const int sum = warp_sum(sums[b][k]);
    const auto x_row = static_cast<uint32_t>(b);
    const uint32_t y_row = static_cast<uint32_t>(k) * product.quarter + row;
    if (lane() == 4 * b + k && x_row < product.m)
      y[uint64_t{product.rows()} * x_row + y_row] =
          ternary_result(product, sum, x_row, y_row, bias);
  }
}

// A tile of the weight has 32 rows of bytes, of which each thread brings 16 bytes of one to shared
// memory: rows [32 k, 32 k + 32) of the tile are of quarter k.
inline constexpr uint32_t kTernaryRows = 32;
inline constexpr int kTernaryTileN = 4 * kTernaryRows;

struct TernaryPiece {
  Words2 halves[2];

  PRECIS_FUNCTION void load(const TernaryProduct& product, uint32_t first_row, uint32_t begin) {
    // Rows beyond the last give columns of y that nobody writes, columns meet zeros of x.
    const uint32_t wanted = first_row + threadIdx.x / 8, last = product.quarter - 1;
    const uint8_t* row = product.weight + uint64_t{wanted < last ? wanted : last} * product.columns;
    PRECIS_UNROLL
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t column = begin + threadIdx.x % 8 * 16 + i * 8;
      halves[i] = column < product.columns ? load_vector<Words2>(row + column) : Words2{{0, 0}};
    }
  }

  // The number of each byte's code: of the sum no bit reaches the byte's neighbour.
  static PRECIS_FUNCTION uint32_t numbers(uint32_t bytes, uint32_t k) {
    const uint32_t codes = bytes >> (2 * k) & 0x03030303u;
    return ((codes | 0x80808080u) - 0x01010101u) ^ 0x80808080u;
  }

  PRECIS_FUNCTION void store(unsigned char* tile) const {
    unsigned char* to = tile + threadIdx.x / 8 * kPitch + threadIdx.x % 8 * 16;
    PRECIS_UNROLL
    for (uint32_t k = 0; k < 4; ++k)
      store_vector(to + k * kTernaryRows * kPitch,
                   Words4{{numbers(halves[0].words[0], k), numbers(halves[0].words[1], k),
                           numbers(halves[1].words[0], k), numbers(halves[1].words[1], k)}});
  }
};

// The part of the tile inside y. No thread may still read `shared` as tiles.
template <class Unit, class Shape, class Activation>
PRECIS_FUNCTION void write_quarters(TileSums<Unit, Shape, int>& sums, const TernaryProduct& product,
                                    uint32_t first_m, uint32_t first_row, unsigned char* shared,
                                    const Activation* bias, Activation* y) {
  for_tile_values<Unit, Shape>(sums, 0, 0, [&](int sum, uint32_t tile_row, uint32_t column) {
    const uint32_t x_row = first_m + tile_row, row = first_row + column % kTernaryRows;
    if (x_row >= product.m || row >= product.quarter) return;
    *reinterpret_cast<Activation*>(shared + tile_row * Shape::kOutPitch + column * 2) =
        ternary_result(product, sum, x_row, column / kTernaryRows * product.quarter + row, bias);
  });
  __syncthreads();
  constexpr uint32_t kPieces = kTernaryTileN / 8, kOfQuarter = kPieces / 4;
  for (uint32_t i = threadIdx.x; i < Shape::kTileM * kPieces; i += kGemmThreads) {
    const uint32_t x_row = first_m + i / kPieces, piece = i % kPieces;
    const uint32_t row = first_row + 8 * (piece % kOfQuarter);
    if (x_row >= product.m || row >= product.quarter) continue;
    const unsigned char* from = shared + i / kPieces * Shape::kOutPitch + 16 * piece;
    Activation* to =
        y + uint64_t{x_row} * product.rows() + piece / kOfQuarter * product.quarter + row;
    if (product.quarter % 8 == 0) {
      store_vector(to, load_vector<Words4>(from));
    } else {
      for (uint32_t j = 0; j < 8 && row + j < product.quarter; ++j)
        to[j] = reinterpret_cast<const Activation*>(from)[j];
    }
  }
}

// Bound: the matrix units from about 150 rows of x on, below that the memory that x and y take.
template <class Activation, class Unit, int TileM, int TileN>
__global__ void __launch_bounds__(kGemmThreads, 2)
    ternary_gemm_kernel(PRECIS_PARAMETER TernaryProduct product, const Activation* bias,
                        Activation* y) {
  using Shape = TileShape<Unit, TileM, TileN>;
  PRECIS_DYNAMIC_SHARED(shared);
  unsigned char* tiles_a = shared;
  unsigned char* tiles_b = shared + Shape::kStages * Shape::kBytesA;
  const uint32_t first_m = blockIdx.y * TileM, first_row = blockIdx.x * kTernaryRows;
  const uint32_t steps = (product.columns + kStepBytes - 1) / kStepBytes;
  const auto copy_x = [&](uint32_t step) {
    copy_tile<TileM>(tiles_a + step % 2 * Shape::kBytesA, product.x, first_m, product.m,
                     product.stride, uint64_t{step} * kStepBytes);
    async_commit();
  };

  TileSums<Unit, Shape, int> sums{};
  TernaryPiece piece;
  copy_x(0);
  piece.load(product, first_row, 0);
  for (uint32_t step = 0; step < steps; ++step) {
    unsigned char* b = tiles_b + step % 2 * Shape::kBytesB;
    piece.store(b);
    async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) {
      copy_x(step + 1);
      piece.load(product, first_row, (step + 1) * kStepBytes);
    }
    multiply_tiles<Unit, int8_t>(sums, tiles_a + step % 2 * Shape::kBytesA, b);
  }
  __syncthreads();
  write_quarters<Unit, Shape>(sums, product, first_m, first_row, shared, bias, y);
}

}  // namespace precis::kernels::PRECIS_DEVICE
