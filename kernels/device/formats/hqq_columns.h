// HQQ's codes with axis 0, brought into rows: the rows of the weight that are a number of rows
// apart share the scale and the zero point of a column, and neighbours have others.
#pragma once

#include "kernels/device/formats/grouped.h"

namespace precis::kernels::PRECIS_DEVICE {

// A value is round(round(code - zero) * scale), all of one dtype of 16 bits. Scales and zero points
// are four bytes for each code of half a byte or one; rows that share them read them from cache.
template <int Bits>
struct HqqColumns {
  static constexpr int kInFlight = 2;

  struct Weight {
    uint32_t rows, columns;
    const uint32_t* codes;  // [rows][columns * Bits / 32]
    const uint32_t* pairs;  // [scale_rows][columns]: a scale in the low half, its zero point above
    uint32_t scale_rows;    // row r has the pairs of row r % scale_rows
    Rounding rounding;      // half or bfloat16
  };
  struct Table {
    GroupArithmetic arithmetic;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0)
      table.arithmetic = GroupArithmetic{0, 0.0f, weight.rounding, weight.rounding};
  }

  struct Run {
    uint32_t words[Bits / 4];
    Words4 pairs[2];
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t first = uint64_t{row} * weight.columns + column;
    const auto* from = reinterpret_cast<const unsigned char*>(weight.codes) + first * Bits / 8;
    using Vector = std::conditional_t<Bits == 4, uint32_t, Words2>;
    const auto codes = load_vector<Vector>(from);
    Run run;
    memcpy(run.words, &codes, sizeof codes);
    const uint32_t* pairs =
        weight.pairs + uint64_t{row % weight.scale_rows} * weight.columns + column;
    run.pairs[0] = load_vector<Words4>(pairs);
    run.pairs[1] = load_vector<Words4>(pairs + 4);
    return run;
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }

  static PRECIS_FUNCTION float number(Rounding rounding, uint32_t bits) {
    return rounding == Rounding::half ? half_value(static_cast<uint16_t>(bits))
                                      : bits_as<float>(bits << 16);
  }
  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    const GroupArithmetic arithmetic = table.arithmetic;
    numbers_of_codes<Bits>(run.words, arithmetic, levels);
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] -= number(arithmetic.rounding, run.pairs[i / 4].words[i % 4] >> 16);
    round_all(arithmetic.inner, levels);
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] *= number(arithmetic.rounding, run.pairs[i / 4].words[i % 4] & 0xffffu);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run&) { return Scale{1.0f, 0.0f}; }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale) { return level; }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) { return weight.rounding; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale) { return 1.0f; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
