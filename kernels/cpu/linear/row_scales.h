// The scales of groups as RowDot's rows take them: 32, 64 or 128 columns at a time.
#pragma once

#include <algorithm>

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/linear/number_words.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Room for what the codes of a strip of a row are multiplied by, and for what is added to that; as
// much more as load_numbers writes.
struct StripScales {
  static constexpr uint64_t kColumns = 4096, kCount = kColumns / 16;
  float scales[kCount + 16], offsets[kCount + 16];
};

// For how many columns rows with a scale for each `group` columns have one in StripScales, so that
// a step takes them in one way: 32, 64 or 128. 0: they cannot be taken so; few formats take 16.
constexpr uint64_t scale_columns(uint64_t group) {
  if (group == 0 || group % 32 != 0) return 0;
  return group % 128 == 0 ? 128 : group % 64 == 0 ? 64 : 32;
}

#if defined(PRECIS_ROW_DOT)

// out: load(group) for every kColumns of elements [begin, end).
template <uint64_t kColumns, typename Load>
[[gnu::always_inline]] inline void load_groups(uint64_t begin, uint64_t end, uint64_t group,
                                               Load load, float* out) {
  const uint64_t first = begin / group;
  if (group == kColumns) {
    const uint64_t count = (end - begin) / kColumns;
    for (uint64_t i = 0; i < count; ++i) out[i] = load(first + i);
    return;
  }
  for (uint64_t at = begin, index = first; at < end; ++index) {
    const float value = load(index);
    for (const uint64_t stop = std::min(end, (index + 1) * group); at < stop; at += kColumns)
      *out++ = value;
  }
}

// out[0 ... count) = stored numbers from `first` on. Writes up to 15 more.
#if defined(__AVX512F__)
inline void load_numbers(WeightType type, const void* stored, uint64_t first, uint64_t count,
                         float* out) {
  for (uint64_t i = 0; i < count; i += 16) {
    const auto mask = static_cast<__mmask16>(count - i < 16 ? (1u << (count - i)) - 1 : 0xffffu);
    const auto* halves = static_cast<const uint16_t*>(stored) + first + i;
    __m512 numbers;
    if (type == WeightType::f32)
      numbers = _mm512_maskz_loadu_ps(mask, static_cast<const float*>(stored) + first + i);
    else if (type == WeightType::f16)
      numbers = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves));
    else
      numbers = _mm512_castsi512_ps(
          _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, halves)), 16));
    _mm512_storeu_ps(out + i, numbers);
  }
}
#else
inline void load_numbers(WeightType type, const void* stored, uint64_t first, uint64_t count,
                         float* out) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* from = static_cast<const typename Type::Stored*>(stored) + first;
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, load_numbers<Type>(from + i).v);
    for (; i < count; ++i) out[i] = Type::load(from, i);
  });
}
#endif
// load_groups of stored numbers, one a group, to StripScales.
template <uint64_t kColumns>
void load_group_numbers(uint64_t begin, uint64_t end, uint64_t group, WeightType type,
                        const void* stored, float* out) {
  const uint64_t first = begin / group, count = (end - 1) / group + 1 - first;
  if (group == kColumns) return load_numbers(type, stored, first, count, out);
  float numbers[StripScales::kCount + 16];
  load_numbers(type, stored, first, count, numbers);
  load_groups<kColumns>(
      begin, end, group, [&](uint64_t index) { return numbers[index - first]; }, out);
}

// The scales of the codes of kDotColumns in 64 bytes, one for kColumns each.
template <int kColumns>
[[gnu::always_inline]] inline auto neighbour_scales(const float* scales) {
  if constexpr (kColumns == 16) return eight_scales(scales);
  if constexpr (kColumns == 32) return four_scales(_mm_loadu_ps(scales));
  if constexpr (kColumns == 64) return two_scales(scales);
  if constexpr (kColumns == 128) return same_scale(*scales);
}
// Of the first or the last half of them, in 64 bytes.
template <int kColumns>
[[gnu::always_inline]] inline ByteScales half_scales(const float* scales, int half) {
  if constexpr (kColumns == 16) return four_scales(_mm_loadu_ps(scales + 4 * half));
  if constexpr (kColumns == 32) return two_scales(scales + 2 * half);
  return same_scale(scales[kColumns == 64 ? half : 0]);
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
