// The numbers that the codes of a group stand for: computed once for each of at most 16 codes, then
// looked up, in the dtype that is written.
#pragma once

#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// What four bits stand for, unsigned and in two's complement.
alignas(64) inline constexpr float kUnsignedNibbles[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                           8, 9, 10, 11, 12, 13, 14, 15};
alignas(64) inline constexpr float kSignedNibbles[16] = {0,  1,  2,  3,  4,  5,  6,  7,
                                                         -8, -7, -6, -5, -4, -3, -2, -1};

#if PRECIS_LANES > 1

// 16 values, looked up a line at a time.
template <typename Type>
class LaneTable {
 public:
  explicit LaneTable(const float* values) : table_(make(values)) {}
  // The numbers of a line of codes.
  Line operator()(const uint8_t* codes) const {
    if constexpr (std::is_same_v<Type, F32>)
      return line_of(table_[Ints::load(codes)]);
    else
      return table_[codes];
  }

 private:
  static auto make(const float* values) {
    if constexpr (std::is_same_v<Type, F32>)
      return Table16::load(values);
    else
      return Words16{narrow_line<Type>(Floats::load(values), Floats::load(values + kLanes % 16))};
  }
  decltype(make(nullptr)) table_;
};

#endif

#if PRECIS_LANES == 16
// The values of two scales, in two-byte numbers: what one look-up of a line takes.
template <typename Type>
class TwoTables {
 public:
  // first(number) and second(number) for each of 16 numbers.
  template <typename Value>
  TwoTables(const float* numbers, Value first, Value second)
      : words_(narrow_line<Type>(first(Floats::load(numbers)), second(Floats::load(numbers)))) {}

  // Of the low halves of 32 bytes by the first, then of the high ones by the second.
  void look_up_planes(const uint8_t* bytes, uint16_t* out) const {
    const __m512i both =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
    const __m512i low = _mm512_and_si512(both, _mm512_set1_epi16(15));
    const __m512i high = _mm512_or_si512(_mm512_srli_epi16(both, 4), _mm512_set1_epi16(16));
    store(out, _mm512_permutexvar_epi16(low, words_));
    store(out + 32, _mm512_permutexvar_epi16(high, words_));
  }

 private:
  Line words_;
};
#endif

template <typename Type>
class ValueTable {
 public:
  using Stored = typename Type::Stored;

  // value(number) for each of 16 numbers. `value` takes a float, or lanes of them.
  template <typename Value>
  ValueTable(const float* numbers, Value value) : values_(compute(numbers, value)) {}

  // Codes two to a byte, the first in the low half.
  void look_up_nibbles(const uint8_t* packed, uint64_t count, Stored* out) const {
    look_up(
        count, [&](uint64_t i, uint8_t* codes) { unpack_nibbles_at(packed, i, codes); },
        [&](uint64_t i) { return packed[i / 2] >> (i % 2 * 4) & 15; }, out);
  }

  // 32 codes in 16 bytes: first all low halves, then the high ones.
  void look_up_split_nibbles(const uint8_t* packed, Stored* out) const {
    look_up(
        32, [&](uint64_t, uint8_t* codes) { split_nibbles_at(packed, codes); },
        [&](uint64_t i) { return packed[i % 16] >> (i / 16 * 4) & 15; }, out);
  }

  // Codes in the bits from `shift` on of a byte each.
  void look_up_plane(const uint8_t* bytes, int shift, int mask, uint64_t count, Stored* out) const {
    look_up(
        count, [&](uint64_t i, uint8_t* codes) { unpack_plane_at(bytes + i, shift, mask, codes); },
        [&](uint64_t i) { return bytes[i] >> shift & mask; }, out);
  }

  // unpack(i, codes) writes codes i ... i + 31, a byte each; code_at(i) is one.
  template <typename Unpack, typename CodeAt>
  void look_up(uint64_t count, Unpack unpack, CodeAt code_at, Stored* out) const {
    uint64_t i = 0;
#if PRECIS_LANES > 1
    constexpr uint64_t kNumbers = kLineBytes / sizeof(Stored);
    if (count >= 32) {
      const LaneTable<Type> table(values_.list);
      alignas(64) uint8_t codes[32];
      for (; i + 32 <= count; i += 32) {
        unpack(i, codes);
        for (uint64_t j = 0; j < 32; j += kNumbers) store(out + i + j, table(codes + j));
      }
    }
#else
    (void)unpack;
#endif
    for (; i < count; ++i) Type::store(out, i, values_.list[code_at(i)]);
  }

 private:
  struct Values {
    alignas(64) float list[16];
  };
  template <typename Value>
  static Values compute(const float* numbers, Value value) {
    Values values;
#if PRECIS_LANES > 1
    for (int code = 0; code < 16; code += kLanes)
      value(Floats::load(numbers + code)).store(values.list + code);
#else
    for (int code = 0; code < 16; ++code) values.list[code] = value(numbers[code]);
#endif
    return values;
  }
#if PRECIS_LANES > 1
  static void unpack_nibbles_at(const uint8_t* packed, uint64_t i, uint8_t* codes) {
    unpack_low_nibbles_first(packed + i / 2, codes);
  }
  static void unpack_plane_at(const uint8_t* bytes, int shift, int mask, uint8_t* codes) {
    unpack_plane(bytes, shift, mask, codes);
  }
  static void split_nibbles_at(const uint8_t* packed, uint8_t* codes) {
    split_nibbles(packed, codes);
  }
#else
  static void unpack_nibbles_at(const uint8_t*, uint64_t, uint8_t*) {}
  static void unpack_plane_at(const uint8_t*, int, int, uint8_t*) {}
  static void split_nibbles_at(const uint8_t*, uint8_t*) {}
#endif

  Values values_;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
