// GGUF's block types as files hold them: kernels/cpu/gguf has the formats. Rows are whole blocks.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

struct GgufWeight {
  uint32_t rows, columns;
  const uint8_t* blocks;
};

// What the types share: where a run's block stands, and values as level * scale + shift.
template <int BlockElements, int BlockBytes>
struct GgufFormat {
  using Weight = GgufWeight;
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  static PRECIS_FUNCTION const uint8_t* block_of(const Weight& weight, uint32_t row,
                                                 uint32_t column) {
    const uint64_t blocks_of_row = weight.columns / BlockElements;
    return weight.blocks + (row * blocks_of_row + column / BlockElements) * BlockBytes;
  }
  struct Row {
    const uint8_t* blocks;
  };
  static PRECIS_FUNCTION Row row(const Weight& weight, uint32_t row) {
    return Row{block_of(weight, row, 0)};
  }
  static PRECIS_FUNCTION const uint8_t* block_of(const Row& row, uint32_t column, uint32_t ahead) {
    static_assert(256 % BlockElements == 0);
    return row.blocks + column / BlockElements * BlockBytes + ahead / BlockElements * BlockBytes;
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale + scale.shift;
  }
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

// Blocks of 18 and 34 bytes are aligned to 2.
PRECIS_FUNCTION uint32_t load_word_by_halves(const uint8_t* from) {
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  return halves[0] | static_cast<uint32_t>(halves[1]) << 16;
}
PRECIS_FUNCTION float load_half(const uint8_t* from) {
  return half_value(*reinterpret_cast<const uint16_t*>(from));
}

// 32 int8 behind a float16 scale.
struct Q8_0 : GgufFormat<32, 34> {
  struct Run {
    uint32_t codes[2];
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return load_from(block_of(weight, row, column), column);
  }
  static PRECIS_FUNCTION Run load(const Weight&, const Row& row, uint32_t column, uint32_t ahead) {
    return load_from(block_of(row, column, ahead), column);
  }
  static PRECIS_FUNCTION Run load_from(const uint8_t* block, uint32_t column) {
    const uint8_t* codes = block + 2 + column % 32;
    return Run{{load_word_by_halves(codes), load_word_by_halves(codes + 4)}, load_half(block)};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] = static_cast<float>(static_cast<int8_t>(run.codes[i / 4] >> (8 * (i % 4))));
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static constexpr bool kShifted = false;
};

// 32 nibbles behind a float16 scale: byte j holds elements j and j + 16; 8 stands for zero.
struct Q4_0 : GgufFormat<32, 18> {
  struct Run {
    uint32_t codes[2];  // one in each byte's low nibble
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return load_from(block_of(weight, row, column), column);
  }
  static PRECIS_FUNCTION Run load(const Weight&, const Row& row, uint32_t column, uint32_t ahead) {
    return load_from(block_of(row, column, ahead), column);
  }
  static PRECIS_FUNCTION Run load_from(const uint8_t* block, uint32_t column) {
    const uint8_t* codes = block + 2 + column % 16;
    const uint32_t shift = column % 32 < 16 ? 0 : 4;
    return Run{{load_word_by_halves(codes) >> shift, load_word_by_halves(codes + 4) >> shift},
               load_half(block)};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (unsigned i = 0; i < kRun; ++i)
      levels[i] = byte_above_2_23(run.codes[i / 4] & 0x0f0f0f0fu, i % 4) - (8388608.0f + 8.0f);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static constexpr bool kShifted = false;
};

// Of one of the 8 groups of a block of q4_k or q5_k. Groups 0 to 3 have 6 bits in bytes 0 to 3
// (scales) and 4 to 7 (minima); groups 4 to 7 have 4 bits of each in bytes 8 to 11 and the upper
// two in the upper bits of the first eight bytes. header: d, dmin and those 12 bytes.
PRECIS_FUNCTION Scale sub_block_scale(const Words4& header, uint32_t group) {
  const float d = half_value(static_cast<uint16_t>(header.words[0]));
  const float dmin = half_value(static_cast<uint16_t>(header.words[0] >> 16));
  // What depends on the group alone is computed once for runs of one group.
  const bool first = group < 4;
  const uint32_t byte = 8 * (group % 4), low = first ? 63u : 15u, high = first ? 0u : 48u;
  const uint32_t scales = first ? header.words[1] : header.words[3],
                 minima = first ? header.words[2] : header.words[3];
  const uint32_t scale = (scales >> byte & low) | (header.words[1] >> (byte + 2) & high);
  const uint32_t minimum =
      (minima >> (first ? byte : byte + 4) & low) | (header.words[2] >> (byte + 2) & high);
  return Scale{d * static_cast<float>(scale), -(dmin * static_cast<float>(minimum))};
}

// 256 nibbles in 8 groups, each with a 6-bit scale and minimum in units of two float16 numbers.
struct Q4_K : GgufFormat<256, 144> {
  struct Run {
    Words2 codes;
    Words4 header;   // d, dmin, 12 bytes of packed scales and minima
    uint32_t group;  // of the block
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return load_from(block_of(weight, row, column), column);
  }
  static PRECIS_FUNCTION Run load(const Weight&, const Row& row, uint32_t column, uint32_t ahead) {
    return load_from(block_of(row, column, ahead), column);
  }
  static PRECIS_FUNCTION Run load_from(const uint8_t* block, uint32_t column) {
    const uint32_t group = column % 256 / 32;
    return Run{load_vector<Words2>(block + 16 + 32 * (group / 2) + column % 32),
               load_vector<Words4>(block), group};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    const uint32_t shift = 4 * (run.group % 2);
    PRECIS_UNROLL
    for (unsigned i = 0; i < kRun; ++i)
      levels[i] =
          byte_above_2_23(run.codes.words[i / 4] >> shift & 0x0f0f0f0fu, i % 4) - 8388608.0f;
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return sub_block_scale(run.header, run.group);
  }
  static constexpr bool kShifted = true;
};

}  // namespace precis::kernels::PRECIS_DEVICE
