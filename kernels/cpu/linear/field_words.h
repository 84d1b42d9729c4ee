// Rows of a weight whose codes stand in one field of words of 32 bits, other rows in the others.
//
// A number is what the field alone stands for: its code times the value of the field's lowest bit,
// by which the scale is divided. It needs no shift, and a code of 8 bits or fewer stays exact, in
// bfloat16 too.
#pragma once

#include <cstddef>

#include "kernels/cpu/linear/row_sums.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)

class FieldWords {
 public:
  // field: the bits of it, all below bit 31.
  explicit FieldWords(uint32_t field) : field_(_mm512_set1_epi32(static_cast<int>(field))) {}
  // Of 32 words, as they come.
  __m512i load(const uint32_t* words) const {
    return __m512i(_mm512_cvtne2ps_pbh(sixteen(words + 16), sixteen(words)));
  }

 private:
  __m512 sixteen(const uint32_t* words) const {
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_loadu_si512(words), field_));
  }
  __m512i field_;
};

// Hands `to` the numbers of kCount words, 32, 64 or 128, with one scale.
template <int kCount, typename To>
[[gnu::always_inline]] inline void add_fields(const FieldWords& fields, const uint32_t* words,
                                              To& to, float scale) {
  __m512i numbers[kCount / 32];
#pragma GCC unroll 4
  for (int i = 0; i < kCount / 32; ++i) numbers[i] = fields.load(words + 32 * i);
  to.add(numbers, _mm512_set1_ps(scale));
}

#elif defined(PRECIS_ROW_DOT)

class FieldWords {
 public:
  explicit FieldWords(uint32_t field) : field_(_mm256_set1_epi32(static_cast<int>(field))) {}
  Floats16 load(const uint32_t* words) const { return {eight(words), eight(words + 8)}; }

 private:
  __m256 eight(const uint32_t* words) const {
    const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    return _mm256_cvtepi32_ps(_mm256_and_si256(all, field_));
  }
  __m256i field_;
};

template <int kCount, typename To>
[[gnu::always_inline]] inline void add_fields(const FieldWords& fields, const uint32_t* words,
                                              To& to, float scale) {
  auto dots = to.dots();
  add_columns<kCount>(fields, words, 0, dots);
  to.add(dots, _mm256_set1_ps(scale));
  to.column += kCount;
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
