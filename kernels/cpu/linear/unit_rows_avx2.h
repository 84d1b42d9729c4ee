// Rows of units of 32 codes, which become float32 numbers for NumberSums or are handed on as they
// are to CodeSums.
#pragma once

#include "kernels/cpu/linear/code_sums_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// DotSums with the same.
template <int kWeights, int kRows, uint64_t kBlock>
class NumberSums : public DotSums<kWeights, kRows> {
 public:
  NumberSums(const ActivationRows& x, uint64_t first)
      : DotSums<kWeights, kRows>(x, first),
        stride_(x.stride),
        x_sums_(x.sums + first * (x.stride / kBlock)) {}

  template <int kWeight, int kUnits, int kScales, typename NumbersOf>
  [[gnu::always_inline]] void add_units(uint64_t column, const float* scales,
                                        NumbersOf numbers_of) {
    [&]<int... kUnit>(std::integer_sequence<int, kUnit...>) __attribute__((always_inline)) {
      (add_unit<kWeight, kScales>(column + 32 * kUnit, numbers_of(kUnit),
                                  unit_factors<kScales>(scales, kUnit)),
       ...);
    }
    (std::make_integer_sequence<int, kUnits>());
  }
  template <int kWeight, int kCount>
  [[gnu::always_inline]] void add_offsets(uint64_t column, __m256 offsets) {
    [&]<int... kRow>(std::integer_sequence<int, kRow...>) __attribute__((always_inline)) {
      (this->template add_products<kWeight, kRow>(
           offsets, offsets_of_x<kCount>(column, static_cast<uint64_t>(kRow))),
       ...);
    }
    (std::make_integer_sequence<int, kRows>());
  }

 private:
  template <int kWeight, int kScales>
  [[gnu::always_inline]] void add_unit(uint64_t column, const Numbers32& numbers, __m256 scales) {
    auto dots = this->dots(column);
    dots.add(0, numbers);
    this->template add<kWeight>(dots, scales);
  }
  template <int kCount>
  __m256 offsets_of_x(uint64_t column, uint64_t row) const {
    const float* x_sums = x_sums_ + row * (stride_ / kBlock) + column / kBlock;
    return kCount == 8 ? _mm256_loadu_ps(x_sums) : _mm256_zextps128_ps256(_mm_loadu_ps(x_sums));
  }

  uint64_t stride_;
  const float* x_sums_;
};

// What a row makes of its codes: numbers, for NumberSums.
struct NumbersOfCodes {
  static constexpr bool kPlain = false;
  using Nibbles = NibbleWords;
  struct UnsignedNibbles : NibbleWords {
    UnsignedNibbles() : NibbleWords(kUnsignedNibbles) {}
  };
  // Integers are codes over this.
  static constexpr float kScale = kIntegerScale;
  static Numbers32 integers(__m256i codes) { return kernels::integers(codes); }
  static Numbers32 unsigned_integers(__m256i codes) { return kernels::integers(codes); }
  template <int kWeights, int kRows, uint64_t kBlock>
  using Sums = NumberSums<kWeights, kRows, kBlock>;
};

// Or the codes themselves, for CodeSums.
struct PlainCodes {
  static constexpr bool kPlain = true;
  // Numbers of 16 codes that are integers.
  class Nibbles {
   public:
    explicit Nibbles(const float* numbers, float zero = 0) {
      alignas(16) int8_t integers[16];
      for (int i = 0; i < 16; ++i) integers[i] = static_cast<int8_t>(numbers[i] - zero);
      table_ =
          _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(integers)));
    }
    Codes32 operator[](__m256i codes) const { return {_mm256_shuffle_epi8(table_, codes)}; }

   private:
    __m256i table_;
  };
  struct UnsignedNibbles {
    UnsignedCodes32 operator[](__m256i codes) const { return {codes}; }
  };
  static constexpr float kScale = 1;
  static Codes32 integers(__m256i codes) { return {codes}; }
  static UnsignedCodes32 unsigned_integers(__m256i codes) { return {codes}; }
  template <int kWeights, int kRows, uint64_t kBlock>
  using Sums = CodeSums<kWeights, kRows, kBlock>;
};

// A row of units: `Numbers` of above, and kBlock columns to a scale of x.
template <typename Numbers, uint64_t kBlock>
struct UnitRow {
  template <int kWeights, int kRows>
  using Sums = typename Numbers::template Sums<kWeights, kRows, kBlock>;
  static constexpr bool kAddsOffsets = true;
  static constexpr bool kEightRows = Numbers::kPlain;
  // As many sums as there are registers for.
  template <int kRows>
  static constexpr int kWeights = kRows == 1   ? kDotRows
                                  : kRows == 2 ? 2
                                               : 1;
};

// Hands `to` kUnits units with kScales scales each, or what is added to as many columns.
template <int kUnits, int kScales, int kWeight, typename Sums, typename Of>
[[gnu::always_inline]] inline void add_units(RowSums<kWeight, Sums>& to, const float* scales,
                                             Of of) {
  to.sums.template add_units<kWeight, kUnits, kScales>(to.column, scales, of);
}
template <int kCount, int kWeight, typename Sums>
[[gnu::always_inline]] inline void add_offsets(RowSums<kWeight, Sums>& to, uint64_t column,
                                               __m256 offsets) {
  to.sums.template add_offsets<kWeight, kCount>(column, offsets);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
