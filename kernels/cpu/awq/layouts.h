// Rows of nibbles, the first of a byte in its low half, to and from AWQ's words.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/common/bit_fields.h"
#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/common/turn_tile.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr uint64_t kWordRows = 8;  // rows that share words of gemm
inline constexpr uint64_t kNibbleOfRow[kWordRows] = {0, 4, 1, 5, 2, 6, 3, 7};
// Rows and columns of a block of gemm whose words are turned together: whole lines of the cache.
inline constexpr uint64_t kBlockRows = kTile * kWordRows, kBlockColumns = kTile * 8;

// Of gemm: one code.
inline int gemm_code(const AwqShape& shape, const uint32_t* words, uint64_t row, uint64_t column) {
  const uint32_t word = words[column * (shape.rows / kWordRows) + row / kWordRows];
  return static_cast<int>(word >> (4 * kNibbleOfRow[row % kWordRows]) & 15) ^ shape.sign;
}

#if PRECIS_LANES > 1
// Nibble i of eight[j] becomes nibble j of eight[i], in each lane.
inline void turn_nibbles(Ints (&eight)[8]) {
  const auto exchange = [&](int apart, int bits, int32_t low) {
    const Ints kept = Ints::of(low), other = Ints::of(~low);
    for (int i = 0; i < 8; ++i) {
      if ((i & apart) != 0) continue;
      const Ints a = eight[i], b = eight[i + apart];
      eight[i] = (a & kept) | ((b & kept) << bits);
      eight[i + apart] = ((a >> bits) & kept) | (b & other);
    }
  };
  exchange(4, 16, 0x0000ffff);
  exchange(2, 8, 0x00ff00ff);
  exchange(1, 4, 0x0f0f0f0f);
}

// kBlockRows rows of kBlockColumns columns, packed[row][row_bytes], of words that lie `stride`
// apart from column to column.
inline void load_gemm_block(const uint32_t* words, uint64_t stride, int sign, uint8_t* packed,
                            uint64_t row_bytes) {
  uint32_t turned[kWordRows][kTile][kTile];  // of a row of the word: [eight columns][word]
  const Ints signs = Ints::of(0x11111111 * sign);
  for (uint64_t group = 0; group < kTile; ++group) {
    for (uint64_t word = 0; word < kTile; word += kLanes) {
      Ints eight[8];
      for (uint64_t i = 0; i < 8; ++i)
        eight[i] =
            Ints::load(reinterpret_cast<const int32_t*>(words + (8 * group + i) * stride + word));
      turn_nibbles(eight);
      for (uint64_t i = 0; i < kWordRows; ++i) {
        const Ints codes = eight[kNibbleOfRow[i]];
        const Ints with_sign = (codes | signs) - (codes & signs);
        with_sign.store(reinterpret_cast<int32_t*>(turned[i][group] + word));
      }
    }
  }
  for (uint64_t i = 0; i < kWordRows; ++i)
    turn_tile(turned[i][0], kTile, packed + i * row_bytes, kWordRows * row_bytes);
}

// The other way.
inline void store_gemm_block(const uint8_t* packed, uint64_t row_bytes, uint32_t* words,
                             uint64_t stride) {
  uint32_t turned[kWordRows][kTile][kTile];
  for (uint64_t i = 0; i < kWordRows; ++i)
    turn_tile(reinterpret_cast<const uint32_t*>(packed + i * row_bytes),
              kWordRows * row_bytes / sizeof(uint32_t), reinterpret_cast<uint8_t*>(turned[i]),
              kTile * sizeof(uint32_t));
  for (uint64_t group = 0; group < kTile; ++group) {
    for (uint64_t word = 0; word < kTile; word += kLanes) {
      Ints eight[8];
      for (uint64_t i = 0; i < kWordRows; ++i)
        eight[kNibbleOfRow[i]] =
            Ints::load(reinterpret_cast<const int32_t*>(turned[i][group] + word));
      turn_nibbles(eight);
      for (uint64_t i = 0; i < 8; ++i)
        eight[i].store(reinterpret_cast<int32_t*>(words + (8 * group + i) * stride + word));
    }
  }
}
#endif

// Rows [row_begin, row_begin + rows) of gemm, whole eights, from packed[row -
// row_begin][row_bytes], whole words.
inline void store_gemm_rows(const AwqShape& shape, uint64_t row_begin, uint64_t rows,
                            const uint8_t* packed, uint64_t row_bytes, uint32_t* qweight) {
  const uint64_t stride = shape.rows / kWordRows;
  uint32_t* words = qweight + row_begin / kWordRows;
  uint64_t column = 0;
#if PRECIS_LANES > 1
  for (; rows == kBlockRows && column + kBlockColumns <= shape.columns; column += kBlockColumns)
    store_gemm_block(packed + column / 2, row_bytes, words + column * stride, stride);
#endif
  for (; column < shape.columns; ++column) {
    for (uint64_t row = 0; row < rows; row += kWordRows) {
      uint32_t word = 0;
      for (uint64_t i = 0; i < kWordRows; ++i) {
        const uint32_t pair = packed[(row + i) * row_bytes + column / 2];
        word |= (pair >> (column % 2 * 4) & 15) << (4 * kNibbleOfRow[i]);
      }
      words[column * stride + row / kWordRows] = word;
    }
  }
}

// The other way, of rows [row_begin, row_end); columns are even.
inline void load_gemm_rows(const AwqShape& shape, const uint32_t* qweight, uint64_t row_begin,
                           uint64_t row_end, uint8_t* packed) {
  const uint64_t row_bytes = shape.columns / 2;
  uint64_t column = 0;
#if PRECIS_LANES > 1
  const uint64_t stride = shape.rows / kWordRows;
  const bool whole = row_begin % kWordRows == 0 && row_end - row_begin == kBlockRows;
  for (; whole && column + kBlockColumns <= shape.columns; column += kBlockColumns)
    load_gemm_block(qweight + column * stride + row_begin / kWordRows, stride, shape.sign,
                    packed + column / 2, row_bytes);
#endif
  for (; column < shape.columns; column += 2) {
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const int low = gemm_code(shape, qweight, row, column);
      const int high = gemm_code(shape, qweight, row, column + 1);
      packed[(row - row_begin) * row_bytes + column / 2] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

// A row of gemv_fast and its first word; columns are a multiple of 64. Word 8h + j of each 16 holds
// columns 32h + 8a + j as its nibbles a.
inline void store_fast_row(const uint8_t* codes, uint64_t columns, uint16_t* words) {
  for (uint64_t k = 0; k < columns; k += 64) {
    for (uint64_t h = 0; h < 2; ++h) {
      const uint8_t* from = codes + k + 32 * h;
      uint16_t eight[8];
      for (uint64_t j = 0; j < 8; ++j)
        eight[j] = static_cast<uint16_t>(from[j] | from[8 + j] << 4 | from[16 + j] << 8 |
                                         from[24 + j] << 12);
      std::memcpy(words + k + 8 * h, eight, sizeof eight);
    }
  }
}

inline void load_fast_row(const uint16_t* words, uint64_t columns, uint8_t* packed) {
  for (uint64_t i = 0; i < columns / 64 * 2; ++i, packed += 16) {
    uint64_t four[2];  // words each
    std::memcpy(four, words + i / 2 * 64 + i % 2 * 8, sizeof four);
    for (int nibble = 0; nibble < 4; ++nibble) {
      uint32_t eight = 0;
      for (int half = 0; half < 2; ++half) {
        const uint64_t codes = four[half] >> 4 * nibble & 0x000f000f000f000f;
        const uint64_t pairs = codes | codes >> 12;  // in bytes 0 and 4
        const auto both = static_cast<uint32_t>((pairs & 0xff) | (pairs >> 24 & 0xff00));
        eight |= both << 16 * half;
      }
      std::memcpy(packed + 4 * nibble, &eight, sizeof eight);
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
