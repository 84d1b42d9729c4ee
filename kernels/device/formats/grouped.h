// Integers of 4 or 8 bits with a scale and an offset for each group of neighbours in a row: what
// GPTQ, AWQ, HQQ, optimum-quanto and torchao come to once their codes stand in rows
// (kernels/device/formats/packings.h has their stored forms).
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
  constexpr uint32_t kMask = (1u << Bits) - 1, kPerWord = 32 / Bits;
  const float base = 8388608.0f + arithmetic.base;  // 2^23, whose low bits take the code
  PRECIS_UNROLL
  for (uint32_t i = 0; i < kRun; ++i) {
    const uint32_t word = words[i / kPerWord] ^ arithmetic.flip;
    const uint32_t code = (word >> (Bits * (i % kPerWord))) & kMask;
    numbers[i] = bits_as<float>(0x4b000000u | code) - base;
  }
}

// Added: whether the offset is added to the product.
template <int Bits, bool Added>
struct Grouped {
  struct Weight {
    uint32_t rows, columns;
    const uint32_t* codes;                     // [rows][columns * Bits / 32]
    const GroupScale* scales;                  // [rows][groups]
    uint32_t groups, group_shift, group_size;  // group_shift: 32 where the size is no power of two
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
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint32_t group =
        weight.group_shift < 32 ? column >> weight.group_shift : column / weight.group_size;
    const uint64_t first = uint64_t{row} * weight.columns + column;
    Run run;
    const auto* from = reinterpret_cast<const unsigned char*>(weight.codes) + first * Bits / 8;
    using Vector = std::conditional_t<Bits == 4, uint32_t, Words2>;
    const auto words = load_vector<Vector>(from);
    memcpy(run.words, &words, sizeof words);
    const auto scale = load_vector<Words2>(weight.scales + uint64_t{row} * weight.groups + group);
    run.scale = bits_as<GroupScale>(scale);
    return run;
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
      if (arithmetic.inner == Rounding::none) return;
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) levels[i] = round_to(arithmetic.inner, levels[i]);
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale.scale, Added ? run.scale.offset : 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    const GroupArithmetic& arithmetic = weight.arithmetic;
    const float product = level * scale.scale;
    if constexpr (Added)
      return round_to(arithmetic.rounding, round_to(arithmetic.inner, product) + scale.shift);
    else
      return round_to(arithmetic.rounding, product);
  }
  static constexpr bool kShifted = Added;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
