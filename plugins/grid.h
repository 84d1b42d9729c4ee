// What plugins share of precis.grid/1: handing out a grid of regular tiles, and taking over one of
// another method.
#pragma once

#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/common/float_formats.h"

namespace precis::plugins {

// Tiles of a matrix; those at the edges may be smaller.
struct GridTiles {
  uint64_t rows = 1, columns = 1;  // of a tile
  uint64_t down = 1, across = 1;   // tiles
  uint64_t count() const { return down * across; }
};
GridTiles grid_tiles(const sdk::Matrix& matrix, uint64_t tile_rows, uint64_t tile_columns);

void plan_grid(sdk::PlanWriter& plan, const sdk::Matrix& matrix, const GridTiles& tiles,
               bool zeros);

// A grid to be filled, as planned.
struct OwnGrid {
  explicit OwnGrid(const sdk::Parts& grid);
  // Fills the maps of regular tiles; column_of: null, or the tile of each column.
  void fill_maps(const sdk::Matrix& matrix, const GridTiles& tiles,
                 const int32_t* column_of = nullptr) const;

  float* scales;
  int32_t *row_tiles, *column_tiles;
  int32_t* zeros;  // null: planned without
};

// A grid of another method. Throws PRECIS_INVALID_ARGUMENT for tensors that are no grid of
// `matrix`.
class ForeignGrid {
 public:
  ForeignGrid(const sdk::Matrix& matrix, const sdk::ConstParts& grid);

  // The tile of each column, where they are as many as `groups`; throws PRECIS_UNSUPPORTED, or
  // gives null where the columns lie in order.
  const int32_t* column_order(uint64_t groups) const;

  // Scales and, as codes of `bits` bits, zero points for the tiles of a format: each must lie
  // within tiles that agree. zeros: null where the format has its zero point in the middle of the
  // codes. Throws PRECIS_UNSUPPORTED. column_of: null, or the tile of each column in the format.
  void take_over(const GridTiles& tiles, const int32_t* column_of, int bits, float* scales,
                 int32_t* zeros) const;

  // Scales for floats of which the largest is `largest`: tiles that a tile of the format covers
  // need not agree where their scales are powers of two apart. absmax(tile row, tile column): of
  // the format's tile.
  template <typename AbsMax>
  void rescale(const GridTiles& tiles, float largest, float* scales, AbsMax&& absmax) const {
    const Cover cover = cover_of(tiles, nullptr);
    for (uint64_t i = 0; i < tiles.down; ++i) {
      for (uint64_t j = 0; j < tiles.across; ++j) {
        bool differ = false;
        const float scale = largest_scale(cover, i, j, differ);
        scales[i * tiles.across + j] = differ ? fitting(scale, absmax(i, j) / largest) : scale;
      }
    }
  }

 private:
  // The source's tiles that the format's tiles of a row and of a column of tiles touch.
  struct Cover {
    std::vector<std::vector<int32_t>> rows, columns;
  };
  Cover cover_of(const GridTiles& tiles, const int32_t* column_of) const;
  [[noreturn]] void refuse_columns(const GridTiles& tiles) const;
  float largest_scale(const Cover& cover, uint64_t i, uint64_t j, bool& differ) const;
  static float fitting(float scale, float least);
  uint64_t index(int32_t i, int32_t j) const {
    return static_cast<uint64_t>(i) * across_ + static_cast<uint64_t>(j);
  }

  sdk::Matrix matrix_;
  uint64_t down_ = 0, across_ = 0;
  const float* scales_ = nullptr;
  const int32_t *row_tiles_ = nullptr, *column_tiles_ = nullptr, *zeros_ = nullptr;
};

// The largest magnitude of `rows` rows from `row` on, within `columns` columns from `column` on;
// the matrix may end before.
float largest_in(const precis_tensor& weight, const sdk::Matrix& matrix, uint64_t row,
                 uint64_t rows, uint64_t column, uint64_t columns);

// Throws PRECIS_UNSUPPORTED where one of the scales is no number of the dtype.
void require_scales_in(precis_dtype dtype, const float* scales, uint64_t count);

// Bytes of workspace for scales and zero points of tiles, and where they lie in it.
inline uint64_t grid_workspace(const GridTiles& tiles) {
  return tiles.count() * (sizeof(float) + sizeof(int32_t));
}
struct GridRoom {
  GridRoom(const precis_call& call, const GridTiles& tiles);
  float* scales;
  int32_t* zeros;
};

}  // namespace precis::plugins
