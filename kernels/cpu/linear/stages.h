// The stages of a product as one instruction set has them, and what they hand
// each other.
#pragma once

#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// So many rows of activations go through the matrix-vector kernels at most.
inline constexpr uint64_t kFewRows = 12;
// Rows of the weight in one block of the matrix-matrix kernel, and of
// activations in one turn.
inline constexpr uint64_t kBlockRows = 96, kTurnRows = 512;
// Columns are padded with zeros to a multiple of this.
inline constexpr uint64_t kColumnPad = 128;

inline uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Where each row of the weight is decoded to memory, blocks of rows are faster from 5 rows of x on.
inline bool is_few(const LinearWeight& weight, const Activations& x) {
  const uint64_t rows = x.rows;
  if (has_row_dot(weight, x.type) || weight.arithmetic == Arithmetic::int8_rows)
    return rows <= kFewRows;
  return rows <= (weight.arithmetic == Arithmetic::bfloat16_groups ? 8 : 4);
}

// How many scales a row of `columns` activations has.
inline uint64_t scale_blocks(const LinearWeight& weight, uint64_t columns) {
  switch (weight.arithmetic) {
    case Arithmetic::float32:
    case Arithmetic::bfloat16:
      return 0;
    case Arithmetic::bfloat16_groups:
      return (columns + weight.group - 1) / weight.group;
    case Arithmetic::int8_rows:
      return 1;
    case Arithmetic::int8_blocks:
      return columns / weight.block;
  }
  return 0;
}

// Activations prepared in the workspace. Few rows: row after row. More: panels
// of `panel_rows` rows with one word of each row side by side, [column /
// columns of a word][row]; the last panel is narrower, a multiple of a vector.
// Scales and sums of blocks: [row][block], or [block][row].
struct PreparedActivations {
  uint64_t rows, padded_rows, columns;  // columns: padded
  bool few;
  void* words;
  float* scales;  // of each row, block or group
  // int8_blocks: scale times the sum of the codes of a block. Few, for RowDot:
  // ActivationRows::sums.
  float* sums;
  int32_t* offsets;  // int8: -offset times the sum of the codes of a row or block
  uint32_t* outliers;
  uint64_t outlier_count;
  Activations source;
};

struct ProductStages {
  uint64_t vector_rows, panel_rows;
  uint64_t byte_size;  // of an activation of 8 bits in a panel

  // Marks in outlier[0 ... columns) the columns [begin, end) that hold an
  // outlier.
  void (*find_outliers)(const Activations& x, float threshold, uint64_t begin, uint64_t end,
                        uint8_t* outlier);
  // Prepares panel `index`, or row `index` of few.
  void (*prepare)(const LinearWeight& weight, const PreparedActivations& x, const uint8_t* outlier,
                  uint64_t index);
  // Rows [begin, end) of the weight times few rows; with RowDot::sharing, those of all parts.
  void (*multiply_few)(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                       uint64_t end, const LinearOutput& y, std::byte* scratch);
  // Rows [begin, end), at most kBlockRows, times rows [x_begin, x_end), at most
  // kTurnRows; x_begin is a multiple of panel_rows.
  void (*multiply_block)(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                         uint64_t end, uint64_t x_begin, uint64_t x_end, const LinearOutput& y,
                         std::byte* scratch);
};

const ProductStages& product_stages(Isa isa);
// Those without tiles.
const ProductStages& vector_stages(Isa isa);

// linear_product in these stages.
void linear_product(const ProductStages& stages, const LinearWeight& weight,
                    const Activations& source, const LinearOutput& y, std::byte* workspace,
                    const TaskRunner& tasks);

// What a thread needs: a decoded block with its scales, and its sums.
inline constexpr uint64_t kTileStride = kStrip * sizeof(float) + 64;  // off the powers of two
inline constexpr uint64_t kScaleStride = kStrip / 16 + 8;             // floats
inline constexpr uint64_t kSumsStride = kTurnRows + 16;               // floats
inline constexpr uint64_t kTileBytes = kBlockRows * kTileStride;
inline constexpr uint64_t kScaleBytes = 2 * kBlockRows * kScaleStride * sizeof(float);
inline constexpr uint64_t kSumsBytes = kBlockRows * kSumsStride * sizeof(float);
inline uint64_t scratch_bytes(uint64_t padded_columns) {
  return round_up(kTileBytes + kScaleBytes + kSumsBytes + padded_columns, 64);
}

}  // namespace precis::kernels
