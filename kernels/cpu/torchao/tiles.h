// Where Int4TilePackedTo4dTensor keeps a code: aten's _convert_weight_to_int4pack for CUDA with 8
// inner tiles. qdata is [padded rows / 8][padded columns / 128][32][4] words of eight codes.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Of 128 columns of a row, the 16 words that hold them stand four and four together for lanes
// 4 * (row % 8) ... + 3. Word i of lane l holds columns 32 i + 2 (l % 4) + {0, 8, 16, 24, 1, 9, 17,
// 25} from the low bits up.
inline uint64_t tile_words(uint64_t padded_columns, uint64_t row, uint64_t column) {
  return ((row / 8 * (padded_columns / 128) + column / 128) * 32 + row % 8 * 4) * 4;
}

// Calls body(column within the 128, word of the 16, first bit).
template <typename Body>
constexpr void for_tile_columns(Body&& body) {
  for (uint64_t lane = 0; lane < 4; ++lane) {
    for (uint64_t i = 0; i < 4; ++i) {
      for (uint64_t nibble = 0; nibble < 8; ++nibble) {
        const uint64_t column = 32 * i + 2 * lane + 8 * (nibble % 4) + nibble / 4;
        body(column, lane * 4 + i, static_cast<int>(4 * nibble));
      }
    }
  }
}

// The same for 16-bit halves of the words: columns 32 i ... 32 i + 31 are in halves[i], from the
// bits in `shifts` on.
struct TileOrder {
  alignas(64) uint16_t halves[4][32] = {};
  alignas(64) uint16_t shifts[32] = {};
  constexpr TileOrder() {
    for_tile_columns([this](uint64_t column, uint64_t word, int bit) {
      halves[column / 32][column % 32] =
          static_cast<uint16_t>(word * 2 + static_cast<uint64_t>(bit) / 16);
      shifts[column % 32] = static_cast<uint16_t>(bit % 16);
    });
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
