// Orders of activations in which the codes of 4 bits of a format need no shuffling: words of the
// stored bytes, shifted by 0, 4, 8 and 12 bits, are the codes of four vectors.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

using ColumnOrder = std::array<uint8_t, kDotColumns>;

// column_of(vector, word): the column whose code is in word `word`, of 32, of vector `vector`.
template <typename ColumnOf>
constexpr ColumnOrder column_order(ColumnOf column_of) {
  ColumnOrder order{};
  for (uint64_t i = 0; i < kDotColumns; ++i)
    order[i] = static_cast<uint8_t>(column_of(i / 32, i % 32));
  return order;
}

// Two columns a byte, the first in the low half, or in the high one.
inline constexpr ColumnOrder kLowNibbleFirst =
    column_order([](uint64_t vector, uint64_t word) { return 4 * word + vector; });
inline constexpr ColumnOrder kHighNibbleFirst =
    column_order([](uint64_t vector, uint64_t word) { return 4 * word + (vector ^ 1); });
// A byte for each column: the even and the odd ones of the first and of the last 64 columns, as
// vectors 0 and 2, 1 and 3.
inline constexpr ColumnOrder kBytePlanes = column_order(
    [](uint64_t vector, uint64_t word) { return 64 * (vector % 2) + 2 * word + vector / 2; });
// A byte for each column: the first and the last 8 of every 16 of the first and of the last 64
// columns, as vectors 0 and 2, 1 and 3.
inline constexpr ColumnOrder kByteLanes = column_order([](uint64_t vector, uint64_t word) {
  return 64 * (vector % 2) + 16 * (word / 8) + 8 * (vector / 2) + word % 8;
});
// Blocks of 32 columns in 16 bytes, the first 16 in the low halves.
inline constexpr ColumnOrder kSplitBlocks = column_order([](uint64_t vector, uint64_t word) {
  return 32 * (word / 8) + 2 * (word % 8) + 16 * (vector % 2) + vector / 2;
});

}  // namespace precis::kernels
