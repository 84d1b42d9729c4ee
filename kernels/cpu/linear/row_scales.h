// The scales of groups as RowDot's rows take them: 32, 64 or 128 columns at a time.
#pragma once

#include <algorithm>

#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/product.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

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

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

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

// Four numbers, each in as many neighbouring lanes.
inline __m512 four_scales(__m128 scales) {
  const __m512i lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(scales));
}
inline __m512 eight_scales(const float* scales) {
  const __m512i lanes = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps256_ps512(_mm256_loadu_ps(scales)));
}
inline __m512 two_scales(const float* scales) {
  return _mm512_mask_broadcastss_ps(_mm512_set1_ps(scales[0]), 0xff00, _mm_load_ss(scales + 1));
}
// The scales of kDotColumns, kColumns each.
template <int kColumns>
__m512 neighbour_scales(const float* scales) {
  if constexpr (kColumns == 16) return eight_scales(scales);
  if constexpr (kColumns == 32) return four_scales(_mm_loadu_ps(scales));
  if constexpr (kColumns == 64) return two_scales(scales);
  return _mm512_set1_ps(*scales);
}
// Of the first or the last half of them.
template <int kColumns>
__m512 half_scales(const float* scales, int half) {
  if constexpr (kColumns == 16) return four_scales(_mm_loadu_ps(scales + 4 * half));
  if constexpr (kColumns == 32) return two_scales(scales + 2 * half);
  return _mm512_set1_ps(scales[kColumns == 64 ? half : 0]);
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
