// Fields of blocks: little-endian numbers at byte offsets.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(PRECIS_NEON)
#include <arm_neon.h>
#endif

#include "kernels/cpu/common/float_formats.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline float load_half(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return F16::load(&bits, 0);
}
inline void store_half(uint8_t* at, float value) {
  uint16_t bits;
  F16::store(&bits, 0, value);
  std::memcpy(at, &bits, sizeof bits);
}
inline uint16_t load_u16(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline uint32_t load_u32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// ggml's nearest_int: ties to even, for |value| up to 4194303.
inline int nearest_int(float value) {
  return static_cast<int>(std::bit_cast<uint32_t>(value + 12582912.0f) & 0x007fffffu) - 0x00400000;
}

inline int clamp_int(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

// The codes of 6 bits of a block of Q4_K or Q5_K, a byte each: of 8 scales, then of 8 minimums. The
// block starts with two float16 factors and 12 bytes: the low bits of the first four scales and
// minimums with the high ones of the others above them, then the low nibbles of the others.
struct SubBlockCodes {
  uint32_t words[4];
  explicit SubBlockCodes(const uint8_t* block) {
    const uint32_t first = load_u32(block + 4), second = load_u32(block + 8),
                   third = load_u32(block + 12);
    words[0] = first & 0x3f3f3f3fu;
    words[1] = (third & 0x0f0f0f0fu) | (first >> 2 & 0x30303030u);
    words[2] = second & 0x3f3f3f3fu;
    words[3] = (third >> 4 & 0x0f0f0f0fu) | (second >> 2 & 0x30303030u);
  }
};

// What the 8 sub-blocks of such a block scale by and take off.
struct SubBlockScales {
  float scale[8], minimum[8];
};
// words: eight codes.
inline void scale_codes(const uint32_t* words, float factor, float* to) {
  const uint64_t bytes = words[0] | static_cast<uint64_t>(words[1]) << 32;
#if defined(__AVX2__)
  const __m256i codes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(bytes)));
  _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_cvtepi32_ps(codes), _mm256_set1_ps(factor)));
#elif defined(PRECIS_NEON)
  const uint16x8_t codes = vmovl_u8(vcreate_u8(bytes));
  vst1q_f32(to, vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(codes))), factor));
  vst1q_f32(to + 4, vmulq_n_f32(vcvtq_f32_u32(vmovl_high_u16(codes)), factor));
#else
  for (int i = 0; i < 8; ++i) to[i] = static_cast<float>(bytes >> (8 * i) & 0xff) * factor;
#endif
}
inline SubBlockScales load_sub_block_scales(const uint8_t* block) {
  const SubBlockCodes codes(block);
  SubBlockScales scales;
  scale_codes(codes.words, load_half(block), scales.scale);
  scale_codes(codes.words + 2, load_half(block + 2), scales.minimum);
  return scales;
}

// Values of IQ4_NL's and IQ4_XS' codes.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of E2M1.
inline constexpr int8_t kFp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Half of 2^(exponent - 127), the scale of MXFP4, whose values are doubled.
inline float e8m0_half(uint8_t exponent) {
  const uint32_t bits =
      exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23;
  return std::bit_cast<float>(bits);
}
// Half of an unsigned E4M3 number, the scale of NVFP4.
inline float ue4m3_half(uint8_t code) {
  if (code == 0 || code == 0x7f) return 0.0f;
  const uint32_t exponent = (code >> 3) & 15u, mantissa = code & 7u;
  const float value = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                                    : std::bit_cast<float>((exponent + 120) << 23 | mantissa << 20);
  return value * 0.5f;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
