// Compiled once for each instruction set.
#include "kernels/cpu/groups/group_rows.h"

#include <algorithm>

#if defined(__AVX512BW__)
#include <immintrin.h>
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// What the 16 codes of a group stand for.
template <typename Scale, typename Out>
void list_values(const GroupRows& weight, float scale, float zero, typename Out::Stored* list) {
  for (int code = 0; code < 16; ++code) {
    const auto number = static_cast<float>(code);
    Out::store(list, static_cast<uint64_t>(code),
               Scale::round(weight.adds_zero ? number * scale + zero : (number - zero) * scale));
  }
}

#if defined(__AVX512BW__)
// Each byte twice, the second time for its upper half; tables are indexed by the low 4 bits.
void look_up(const float* list, const uint8_t* codes, uint64_t count, float* out) {
  const __m512 table = _mm512_loadu_ps(list);
  const __m512i shifts = _mm512_set1_epi64(int64_t{4} << 32);
  for (uint64_t i = 0; i < count; i += 16) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i / 2));
    const __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
    _mm512_storeu_ps(out + i, _mm512_permutexvar_ps(_mm512_srlv_epi32(twice, shifts), table));
  }
}
void look_up(const uint16_t* list, const uint8_t* codes, uint64_t count, uint16_t* out) {
  const __m512i table =
      _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(list)));
  const __m512i shifts = _mm512_set1_epi32(4 << 16);
  for (uint64_t i = 0; i < count; i += 32) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i / 2));
    const __m256i both =
        _mm256_set_m128i(_mm_unpackhi_epi8(bytes, bytes), _mm_unpacklo_epi8(bytes, bytes));
    const __m512i indices = _mm512_srlv_epi16(_mm512_cvtepu8_epi16(both), shifts);
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(indices, table));
  }
}
constexpr uint64_t kTogether = 32;  // columns that are looked up at once
#else
template <typename Stored>
void look_up(const Stored* list, const uint8_t* codes, uint64_t count, Stored* out) {
  for (uint64_t i = 0; i < count; i += 2) {
    out[i] = list[codes[i / 2] & 15];
    out[i + 1] = list[codes[i / 2] >> 4];
  }
}
constexpr uint64_t kTogether = 2;
#endif

template <typename Scale, typename Out>
void decode_row(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end,
                typename Out::Stored* out) {
  const uint8_t* codes = weight.codes + row * (weight.columns / 2);
  const float* scales = weight.scales + row * weight.groups();
  const float* zeros = weight.zeros + row * weight.groups();
  for (uint64_t column = begin; column < end;) {
    const uint64_t group = column / weight.group_size;
    const uint64_t stop = std::min(end, (group + 1) * weight.group_size);
    typename Out::Stored list[16];
    list_values<Scale, Out>(weight, scales[group], zeros[group], list);
    if ((column | stop) % kTogether == 0) {
      look_up(list, codes + column / 2, stop - column, out + (column - begin));
      column = stop;
    }
    for (; column < stop; ++column)
      out[column - begin] = list[codes[column / 2] >> (column % 2 * 4) & 15];
  }
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GroupRows*>(format);
  with_type(weight.scale_type, [&](auto scale) {
    using Scale = decltype(scale);
    if (weight.out_type == WeightType::bf16)
      return decode_row<Scale, BF16>(weight, row, begin, end, static_cast<uint16_t*>(out));
    decode_row<Scale, F32>(weight, row, begin, end, static_cast<float*>(out));
  });
}

}  // namespace

const GroupRowsKernels& group_rows_kernels() {
  static constexpr GroupRowsKernels kernels{decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
