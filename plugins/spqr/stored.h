// A stored SpQR weight (spqr_quant 0.2.0: inference.py, spqr_cuda.cpp).
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::spqr {

inline constexpr uint64_t kTile = 16;  // rows and columns of a tile

struct Stored {
  uint64_t rows, columns;
  // [rows / 16][ceil(columns / 16)][16]: of each row of a tile, from bit 0 up, 3 bits each: the
  // scale, the zero point, 16 weights; from bit 54 a byte of the tile's numbers.
  const uint64_t* dense;
  // Outliers from starts[i] up to starts[i + 1] are of row i, or of 16 rows in turn.
  const int32_t* starts;
  bool in_turn;
  const uint32_t* outliers;          // the column in the lower half, a float16 in the upper
  std::vector<uint16_t> columns_of;  // of each stored column; empty: they are in order

  uint64_t entry_of(uint64_t row) const { return in_turn ? row / kTile : row; }  // of starts
  uint64_t tiles_per_row() const { return (columns + kTile - 1) / kTile; }
};

// Parts: dense_weights, row_offsets, col_vals and perhaps in_perm. Throws PRECIS_DATA_LOSS for an
// order, or offsets and columns of outliers of these rows, that lead nowhere. Holds pointers into
// the parts.
Stored stored_weight(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows);

// One of these rows as float32, numbers that float16 holds.
void decode_row(const Stored& stored, uint64_t row, float* out);

}  // namespace precis::spqr
