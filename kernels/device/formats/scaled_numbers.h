// Weights of narrow numbers of which eight neighbours have one scale and one zero point.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/formats/narrow_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// How codes stand, which is what kernels are compiled for.
enum class NarrowCodes : uint32_t {
  nibbles,  // two in a byte
  bytes,
  stream,  // of 1 to 7 bits each; or of two rows in a byte
};

template <NarrowCodes Codes>
struct ScaledNumbers {
  using Weight = ScaledKernelWeight;
  static constexpr NarrowCodes kCodes = Codes;
  static constexpr int kInFlight = Codes == NarrowCodes::stream ? 2 : 4;  // a byte a load

  struct Table {
    float values[16];  // of nibbles
    NarrowType type;
    uint32_t bits;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0) {
      table.type = weight.type;
      table.bits = weight.bits;
    }
    if (Codes == NarrowCodes::nibbles && threadIdx.x < 16)
      table.values[threadIdx.x] = narrow_number(weight.type, 4, threadIdx.x);
  }

  using Packed = std::conditional_t<Codes == NarrowCodes::nibbles, uint32_t, Words2>;
  struct Run {
    Packed codes;
    float scale, zero;
  };
  static PRECIS_FUNCTION Run with_tile(const Weight& weight, uint32_t row, uint32_t column,
                                       const Packed& codes) {
    const uint32_t tile_row = tile_at(weight.tile_rows, row),
                   tile = tile_at(weight.tile_columns, column);
    return Run{codes, scale_of_tile(weight, uint64_t{tile_row} * weight.tiles_per_row + tile),
               zero_of_tile(weight, tile_row, tile)};
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    if constexpr (Codes == NarrowCodes::stream) {
      return with_tile(weight, row, column, load_stream(weight, row, column));
    } else {
      const uint8_t* from = weight.codes + uint64_t{row} * weight.row_bytes;
      return with_tile(
          weight, row, column,
          load_vector<Packed>(from + (Codes == NarrowCodes::nibbles ? column / 2 : column)));
    }
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  // Eight codes begin with a byte, and take as many bytes as each has bits.
  static PRECIS_FUNCTION Words2 load_stream(const Weight& weight, uint32_t row, uint32_t column) {
    if (weight.type == NarrowType::int4_row_pairs) {
      const auto pairs =
          load_vector<Words2>(weight.codes + uint64_t{row / 2} * weight.row_bytes + column);
      const uint32_t shift = row % 2 * 4;
      return Words2{{pairs.words[0] >> shift & 0x0f0f0f0fu, pairs.words[1] >> shift & 0x0f0f0f0fu}};
    }
    const uint8_t* from =
        weight.codes + uint64_t{row} * weight.row_bytes + uint64_t{column / 8} * weight.bits;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < weight.bits; ++i) bits |= uint64_t{from[i]} << (8 * i);
    Words2 codes{};
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      codes.words[i / 4] |=
          (static_cast<uint32_t>(bits >> (i * weight.bits)) & ((1u << weight.bits) - 1))
          << (8 * (i % 4));
    return codes;
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    if constexpr (Codes == NarrowCodes::nibbles) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i)
        levels[i] = table.values[run.codes >> (4 * i) & 15u] - run.zero;
    } else {
      const NarrowType type = table.type;
      const uint32_t bits = table.bits;
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i)
        levels[i] =
            narrow_number(type, bits, run.codes.words[i / 4] >> (8 * (i % 4)) & 0xffu) - run.zero;
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  // Differences of integers of 8 bits are exact in every dtype.
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) { return weight.rounding; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
