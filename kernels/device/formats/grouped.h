// Integers of 4 or 8 bits with a scale and an offset for each group of neighbours in a row: what
// GPTQ, AWQ, HQQ, optimum-quanto and torchao come to (kernels/device/formats/packings.h has their
// stored forms), with codes in rows or as GPTQ and AWQ's gemm have them.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

// Of a group. A value is round(round(number - offset) * scale), or, where the offset is added,
// round(number * scale + offset).
struct alignas(8) GroupScale {
  float scale, offset;
};

// How numbers become values.
struct GroupArithmetic {
  uint32_t flip;      // of the bits of a word of codes: signed codes have their signs flipped
  float base;         // number = code - base
  Rounding rounding;  // of a value
  Rounding inner;     // of the difference, or of the product
};

// The numbers of eight codes: 8 of 4 bits in one word or of 8 in two, the first in the lowest bits.
template <int Bits>
PRECIS_FUNCTION void numbers_of_codes(const uint32_t (&words)[Bits / 4],
                                      const GroupArithmetic& arithmetic, float (&numbers)[kRun]) {
  const float base = 8388608.0f + arithmetic.base;
  if constexpr (Bits == 4) {
    const uint32_t word = words[0] ^ arithmetic.flip;
    const uint32_t even = word & 0x0f0f0f0fu, odd = word >> 4 & 0x0f0f0f0fu;
    PRECIS_UNROLL
    for (unsigned i = 0; i < 4; ++i) {
      numbers[2 * i] = byte_above_2_23(even, i) - base;
      numbers[2 * i + 1] = byte_above_2_23(odd, i) - base;
    }
  } else {
    PRECIS_UNROLL
    for (unsigned i = 0; i < kRun; ++i)
      numbers[i] = byte_above_2_23(words[i / 4] ^ arithmetic.flip, i % 4) - base;
  }
}

// Where the codes of products stand. A word holds neighbouring columns of a row, the first in the
// lowest bits, or, of columns_of_words, the nibbles of 8 rows of a column: even rows, then odd
// ones.
enum class CodesStand : uint32_t {
  rows,              // [rows][columns * Bits / 32]
  columns,           // [columns * Bits / 32][rows]: GPTQ's
  columns_of_words,  // [columns][rows / 8]: AWQ's gemm
};

PRECIS_FUNCTION uint32_t awq_nibble_of_row(uint32_t row) {
  return (row % 8) / 2 + 4 * (row % 2);
}

// Added: whether the offset is added to the product.
template <int Bits, bool Added, CodesStand Stand = CodesStand::rows>
struct Grouped {
  static constexpr bool kAlongRows = Stand != CodesStand::rows;
  // Runs that gemv.h has in flight: one of columns_of_words takes eight loads.
  static constexpr int kInFlight = Stand == CodesStand::columns_of_words ? 2 : 4;

  struct Weight {
    uint32_t rows, columns;
    const uint32_t* codes;
    const GroupScale* scales;           // [rows][groups]; along the rows [groups][rows]
    uint32_t groups, group_reciprocal;  // 2^32 over the size, rounded up; 0 for one group
    GroupArithmetic arithmetic;
  };

  struct Table {
    GroupArithmetic arithmetic;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0) table.arithmetic = weight.arithmetic;
  }

  struct Run {
    uint32_t words[Bits / 4];
    GroupScale scale;
  };
  // Exact, which linear_groups() sees to.
  static PRECIS_FUNCTION uint32_t group_of(const Weight& weight, uint32_t column) {
    return static_cast<uint32_t>(uint64_t{column} * weight.group_reciprocal >> 32);
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint32_t group = group_of(weight, column);
    Run run;
    load_words(weight, row, column, run.words);
    const uint64_t at =
        kAlongRows ? uint64_t{group} * weight.rows + row : uint64_t{row} * weight.groups + group;
    const auto scale = load_vector<Words2>(weight.scales + at);
    run.scale = bits_as<GroupScale>(scale);
    return run;
  }
  struct RowInRows {
    const unsigned char* codes;
    const GroupScale* scales;
  };
  static PRECIS_FUNCTION RowInRows row(const Weight& weight,
                                       uint32_t row) requires(Stand == CodesStand::rows) {
    const uint64_t first = uint64_t{row} * weight.columns;
    return {reinterpret_cast<const unsigned char*>(weight.codes) + first * Bits / 8,
            weight.scales + uint64_t{row} * weight.groups};
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, const RowInRows& row, uint32_t column,
                                  uint32_t ahead) {
    const uint32_t group = group_of(weight, column + ahead);
    using Vector = std::conditional_t<Bits == 4, uint32_t, Words2>;
    const auto codes = load_vector<Vector>(row.codes + column * Bits / 8 + ahead * Bits / 8);
    Run run;
    memcpy(run.words, &codes, sizeof codes);
    run.scale = bits_as<GroupScale>(load_vector<Words2>(row.scales + group));
    return run;
  }
  static PRECIS_FUNCTION void load_words(const Weight& weight, uint32_t row, uint32_t column,
                                         uint32_t (&words)[Bits / 4]) {
    if constexpr (Stand == CodesStand::rows) {
      const uint64_t first = uint64_t{row} * weight.columns + column;
      const auto* from = reinterpret_cast<const unsigned char*>(weight.codes) + first * Bits / 8;
      using Vector = std::conditional_t<Bits == 4, uint32_t, Words2>;
      const auto loaded = load_vector<Vector>(from);
      memcpy(words, &loaded, sizeof loaded);
    } else if constexpr (Stand == CodesStand::columns) {
      const uint32_t* from = weight.codes + uint64_t{column * Bits / 32} * weight.rows + row;
      PRECIS_UNROLL
      for (uint32_t i = 0; i < Bits / 4; ++i) words[i] = from[uint64_t{i} * weight.rows];
    } else {
      const uint32_t apart = weight.rows / 8, shift = 4 * awq_nibble_of_row(row);
      const uint32_t* from = weight.codes + uint64_t{column} * apart + row / 8;
      words[0] = 0;
      PRECIS_UNROLL
      for (uint32_t i = 0; i < kRun; ++i)
        words[0] |= (from[uint64_t{i} * apart] >> shift & 15u) << (4 * i);
    }
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    const GroupArithmetic arithmetic = table.arithmetic;
    numbers_of_codes<Bits>(run.words, arithmetic, levels);
    if constexpr (!Added) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) levels[i] = levels[i] - run.scale.offset;
      round_all(arithmetic.inner, levels);
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale.scale, Added ? run.scale.offset : 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    const float product = level * scale.scale;
    return Added ? round_to(weight.arithmetic.inner, product) + scale.shift : product;
  }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) {
    return weight.arithmetic.rounding;
  }
  static constexpr bool kShifted = Added;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
