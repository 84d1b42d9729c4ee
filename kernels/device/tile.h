// What the GEMM kernels share: tiles in shared memory, products of tiles, writing the result.
//
// A block of 256 threads computes kTileM x kTileN of y. Teams of the matrix unit's lanes divide it
// into kTeamsM x kTeamsN parts of whole 16 x 16 products.
#pragma once

#include "kernels/device/matrix.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kGemmThreads = 256;
// A step along k takes 128 bytes of each row; rows stand 144 bytes apart, so that 8 rows of 16
// bytes touch all banks once.
inline constexpr int kStepBytes = 128;
inline constexpr int kPitch = kStepBytes + 16;

template <class Unit, int TileM, int TileN>
struct TileShape {
  static constexpr int kTileM = TileM, kTileN = TileN;
  static constexpr int kTeams = kGemmThreads / Unit::kLanes;
  static constexpr int kTeamsM = TileM >= 64 ? 2 : 1, kTeamsN = kTeams / kTeamsM;
  static constexpr int kProductsM = TileM / kTeamsM / 16, kProductsN = TileN / kTeamsN / 16;
  static_assert(kProductsM > 0 && kProductsN > 0);
  static constexpr int kBytesA = TileM * kPitch, kBytesB = TileN * kPitch;
  static constexpr int kStages = 2;
  // Tiles of x and of the weight; the result takes their place before it is written.
  static constexpr int kOutPitch = TileN * 2 + 16;
  static constexpr int kTileBytes = kStages * (kBytesA + kBytesB);
  static constexpr int kSharedBytes = kTileBytes > TileM* kOutPitch ? kTileBytes : TileM* kOutPitch;
};

// Rows of x that the tile of a large product takes.
inline constexpr int kLargeTileM =
    TileShape<DeviceMatrixUnit, 128, 128>::kSharedBytes + 1024 <= kBlockSharedBytes ? 128 : 64;

template <class Unit, class Shape, class T>
struct TileSums {
  typename Unit::template Sum<T> products[Shape::kProductsM][Shape::kProductsN];
};

PRECIS_FUNCTION int team(int lanes) {
  return static_cast<int>(threadIdx.x) / lanes;
}

template <class Unit, class T>
inline constexpr int kValuesOf = sizeof(typename Unit::template Sum<T>) / sizeof(T);

// body(value, row, column of y) for the values of this lane, also for those outside of y. The
// block's tile begins at row first_m and column first_n.
template <class Unit, class Shape, class T, class Body>
PRECIS_FUNCTION void for_tile_values(TileSums<Unit, Shape, T>& sums, uint32_t first_m,
                                     uint32_t first_n, Body body) {
  const int my_team = static_cast<int>(threadIdx.x) / Unit::kLanes;
  const int team_m = (my_team / Shape::kTeamsN) * Shape::kProductsM * 16;
  const int team_n = (my_team % Shape::kTeamsN) * Shape::kProductsN * 16;
  PRECIS_UNROLL
  for (int m = 0; m < Shape::kProductsM; ++m) PRECIS_UNROLL
  for (int n = 0; n < Shape::kProductsN; ++n) PRECIS_UNROLL
  for (int i = 0; i < kValuesOf<Unit, T>; ++i)
    body(sums.products[m][n].values[i],
         first_m + static_cast<uint32_t>(team_m + 16 * m + Unit::row(i)),
         first_n + static_cast<uint32_t>(team_n + 16 * n + Unit::column(i)));
}

// Starts copying rows [first, first + Rows) of a row-major matrix, bytes [begin, begin + 128) of
// each, to shared memory. What lies beyond `rows` or `row_bytes` (a multiple of 16) becomes zero.
template <int Rows>
PRECIS_FUNCTION void copy_tile(unsigned char* to, const void* matrix, uint32_t first, uint32_t rows,
                               uint64_t row_bytes, uint64_t begin) {
  constexpr int kPieces = kStepBytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < Rows * kPieces; i += kGemmThreads) {
    const int row = i / kPieces, piece = i % kPieces;
    const uint64_t byte = begin + static_cast<uint64_t>(16 * piece);
    const uint32_t from_row = first + static_cast<uint32_t>(row);
    const bool inside = from_row < rows && byte < row_bytes;
    const auto* from = static_cast<const unsigned char*>(matrix) +
                       (inside ? from_row * row_bytes + byte : uint64_t{0});
    async_copy_16(to + row * kPitch + 16 * piece, from, inside ? 16 : 0);
  }
}

// sums += the tile of x times the tile of the weight transposed, over one step along k.
template <class Unit, class Element, class Shape, class T>
PRECIS_FUNCTION void multiply_tiles(TileSums<Unit, Shape, T>& sums, const unsigned char* a,
                                    const unsigned char* b) {
  const int my_team = team(Unit::kLanes);
  a += (my_team / Shape::kTeamsN) * Shape::kProductsM * 16 * kPitch;
  b += (my_team % Shape::kTeamsN) * Shape::kProductsN * 16 * kPitch;
  PRECIS_UNROLL
  for (int k = 0; k < kStepBytes; k += 32) {
    typename Unit::Operand left[Shape::kProductsM], right[Shape::kProductsN];
    PRECIS_UNROLL
    for (int m = 0; m < Shape::kProductsM; ++m)
      Unit::load(left[m], a + m * 16 * kPitch + k, kPitch);
    PRECIS_UNROLL
    for (int n = 0; n < Shape::kProductsN; ++n)
      Unit::load(right[n], b + n * 16 * kPitch + k, kPitch);
    PRECIS_UNROLL
    for (int m = 0; m < Shape::kProductsM; ++m) PRECIS_UNROLL
    for (int n = 0; n < Shape::kProductsN; ++n)
      Unit::template multiply<Element>(sums.products[m][n], left[m], right[n]);
  }
}

// Where a block's tile of y stands.
struct OutputTile {
  uint32_t first_m, first_n;
  uint32_t m, n;  // sizes of y
};

// y[row][column] = finish(sum, row, column) for the part of the tile inside y. `shared` is the
// block's dynamic shared memory, which no thread may still read as tiles.
template <class Unit, class Shape, class Activation, class T, class Finish>
PRECIS_FUNCTION void write_tile(const TileSums<Unit, Shape, T>& sums, const OutputTile& tile,
                                unsigned char* shared, Activation* y, Finish finish) {
  const int my_team = team(Unit::kLanes);
  const int team_m = (my_team / Shape::kTeamsN) * Shape::kProductsM * 16;
  const int team_n = (my_team % Shape::kTeamsN) * Shape::kProductsN * 16;
  constexpr int kValues = sizeof(typename Unit::template Sum<T>) / sizeof(T);
  PRECIS_UNROLL
  for (int m = 0; m < Shape::kProductsM; ++m) PRECIS_UNROLL
  for (int n = 0; n < Shape::kProductsN; ++n) PRECIS_UNROLL
  for (int i = 0; i < kValues; ++i) {
    const int row = team_m + 16 * m + Unit::row(i), column = team_n + 16 * n + Unit::column(i);
    const uint32_t y_row = tile.first_m + static_cast<uint32_t>(row);
    const uint32_t y_column = tile.first_n + static_cast<uint32_t>(column);
    if (y_row >= tile.m || y_column >= tile.n) continue;
    *reinterpret_cast<Activation*>(shared + row * Shape::kOutPitch + column * 2) =
        from_float<Activation>(finish(sums.products[m][n].values[i], y_row, y_column));
  }
  __syncthreads();
  constexpr int kPieces = Shape::kTileN / 8;
  for (int i = static_cast<int>(threadIdx.x); i < Shape::kTileM * kPieces; i += kGemmThreads) {
    const uint32_t row = tile.first_m + static_cast<uint32_t>(i / kPieces);
    const uint32_t column = tile.first_n + static_cast<uint32_t>(8 * (i % kPieces));
    if (row >= tile.m || column >= tile.n) continue;
    const unsigned char* from = shared + (i / kPieces) * Shape::kOutPitch + 16 * (i % kPieces);
    Activation* to = y + uint64_t{row} * tile.n + column;
    if (tile.n % 8 == 0) {
      store_vector(to, load_vector<Words4>(from));
    } else {
      for (uint32_t j = 0; j < 8 && column + j < tile.n; ++j)
        to[j] = reinterpret_cast<const Activation*>(from)[j];
    }
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
