// Compiled once for each instruction set.
#include "kernels/cpu/bitsandbytes/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

#if defined(__AVX512BW__)
#include <immintrin.h>
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kSmallestBlock = 32;

// The maxima of blocks from that of element `from` on; `unnested` has room for
// those up to `to`.
inline const float* absmax_from(const FourBitWeight& weight, uint64_t from, uint64_t to,
                                float* unnested) {
  const uint64_t first = from / weight.blocksize;
  if (weight.absmax != nullptr) return weight.absmax + first;
  dequantize_absmax(weight.absmax_codes, weight.nested_absmax, weight.nested_codebook,
                    weight.nested_offset, weight.nested_blocksize, first,
                    (to - 1) / weight.blocksize + 1, unnested);
  return unnested;
}

#if defined(__AVX512BW__)
// The 16 values of a block: scaled, and rounded to the dtype of the original
// weight.
inline __m512 scaled_codebook(__m512 codebook, float absmax, WeightType weight_type) {
  const __m512 scaled = _mm512_mul_ps(codebook, _mm512_set1_ps(absmax));
  if (weight_type == WeightType::f32) return scaled;
  if (weight_type == WeightType::f16) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return _mm512_cvtph_ps(_mm512_cvtps_ph(scaled, kNearest));
  }
  float values[16];
  _mm512_storeu_ps(values, scaled);
  for (float& value : values) value = BF16::round(value);
  return _mm512_loadu_ps(values);
}

// 16 values for 8 bytes, the first in the high nibble. The table is indexed by
// the low 4 bits.
inline __m512i nibble_indices(const uint8_t* packed) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed));
  const __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
  const __m512i shifts = _mm512_set1_epi64(4);  // of every other 32-bit lane
  return _mm512_srlv_epi32(twice, shifts);
}

// absmax: from the block of `begin` on; begin, end and the block size are
// multiples of 32.
void decode_to_float32(const FourBitWeight& weight, const float* absmax, uint64_t begin,
                       uint64_t end, float* out) {
  const __m512 codebook = _mm512_loadu_ps(four_bit_codebook(weight.type));
  for (uint64_t i = begin; i < end;) {
    const uint64_t block_end = std::min(end, (i / weight.blocksize + 1) * weight.blocksize);
    const __m512 table = scaled_codebook(codebook, *absmax++, weight.weight_type);
    for (; i < block_end; i += 16) {
      const __m512i indices = nibble_indices(weight.packed + i / 2);
      _mm512_storeu_ps(out + (i - begin), _mm512_permutexvar_ps(indices, table));
    }
  }
}
#endif

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
inline __m512i spread_bytes() {
  return _mm512_set_epi32(0x0f0f0f0f, 0x0e0e0e0e, 0x0d0d0d0d, 0x0c0c0c0c, 0x0b0b0b0b, 0x0a0a0a0a,
                          0x09090909, 0x08080808, 0x07070707, 0x06060606, 0x05050505, 0x04040404,
                          0x03030303, 0x02020202, 0x01010101, 0x00000000);
}

void decode_to_bfloat16(const FourBitWeight& weight, const float* absmax, uint64_t begin,
                        uint64_t end, uint16_t* out) {
  const __m512 codebook = _mm512_loadu_ps(four_bit_codebook(weight.type));
  // Each byte stands in the low half of two 16-bit lanes; the first is shifted
  // to its high nibble.
  const __m512i spread = spread_bytes();
  const __m512i shifts = _mm512_set1_epi32(4);
  const WeightType rounding =
      weight.weight_type == WeightType::bf16 ? WeightType::f32 : weight.weight_type;
  for (uint64_t i = begin; i < end;) {
    const uint64_t block_end = std::min(end, (i / weight.blocksize + 1) * weight.blocksize);
    const __m512 values = scaled_codebook(codebook, *absmax++, rounding);
    // Twice the table: an index keeps a bit of the byte's other nibble.
    const __m512i table = _mm512_broadcast_i64x4(__m256i(_mm512_cvtneps_pbh(values)));
    for (; i < block_end; i += 32) {
      const __m128i bytes =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(weight.packed + i / 2));
      const __m512i twice = _mm512_permutexvar_epi8(spread, _mm512_castsi128_si512(bytes));
      const __m512i indices = _mm512_srlv_epi16(twice, shifts);
      _mm512_storeu_si512(out + (i - begin), _mm512_permutexvar_epi16(indices, table));
    }
  }
}
#endif

#if defined(PRECIS_ROW_DOT)
template <int kBlock>
struct FourBitRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;

  FourBitRow(const FourBitWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
             StripScales& strip)
      : codebook(four_bit_codebook(weight.type)) {
    const uint64_t from = row * weight.columns + begin, to = row * weight.columns + end;
    packed = weight.packed + from / 2;
    float unnested[StripScales::kColumns / kSmallestBlock + 2];
    const float* absmax = absmax_from(weight, from, to, unnested);
    if (weight.absmax != nullptr && weight.blocksize == kBlock) {
      scales = absmax;
      return;
    }
    const uint64_t first = from / weight.blocksize;
    load_groups<kBlock>(
        from, to, weight.blocksize, [&](uint64_t block) { return absmax[block - first]; },
        strip.scales);
    scales = strip.scales;
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(codebook, load_words(packed), to, neighbour_scales<kBlock>(scales));
    packed += kDotColumns / 2;
    scales += kDotColumns / kBlock;
  }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<FourBitRow>(*static_cast<const FourBitWeight*>(format), rows, x, sums);
  }

  NibbleWords codebook;
  const uint8_t* packed;
  const float* scales;
};

RowDot row_dot(const FourBitWeight& weight) {
  return grouped_row_dot<FourBitRow>(weight.columns, weight.blocksize,
                                     kNibbleColumns<kHighNibbleFirst>.data());
}
#else
RowDot row_dot(const FourBitWeight&) {
  return {};
}
#endif

void decode(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const FourBitWeight*>(format);
  const uint64_t from = row * weight.columns + begin, to = row * weight.columns + end;
  float unnested[kStrip / kSmallestBlock + 2];
  const float* absmax = absmax_from(weight, from, to, unnested);
#if defined(__AVX512BW__)
  const bool whole = from % 32 == 0 && to % 32 == 0 && weight.blocksize % 32 == 0;
  if (whole && weight.out_type == WeightType::f32)
    return decode_to_float32(weight, absmax, from, to, static_cast<float*>(out));
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
  if (whole) return decode_to_bfloat16(weight, absmax, from, to, static_cast<uint16_t*>(out));
#endif
#endif
  weight.blockwise->dequantize_4bit(weight.type, weight.packed, absmax, weight.blocksize, from, to,
                                    weight.weight_type, weight.out_type, out);
}

}  // namespace

const FourBitLinearKernels& four_bit_linear_kernels() {
  static constexpr FourBitLinearKernels kernels{decode, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
