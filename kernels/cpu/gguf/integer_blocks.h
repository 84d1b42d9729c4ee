// GGUF's blocks as integers: a byte a code, with the scale, and perhaps the minimum, of kBlock
// columns each: value = scale * (code - kOffset) + minimum. minimums is not written where kMinimums
// is false.
#pragma once

#include "kernels/cpu/gguf/block_io.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace integers {

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint8_t Bytes32 __attribute__((vector_size(32)));
template <typename Bytes>
inline void read_bytes(const uint8_t* from, Bytes& bytes) {
  std::memcpy(&bytes, from, sizeof bytes);
}
template <typename Bytes>
inline void write_bytes(const Bytes& bytes, uint8_t* to) {
  std::memcpy(to, &bytes, sizeof bytes);
}

// Low nibbles, then the high ones.
template <typename Bytes>
inline void split_nibbles(const uint8_t* packed, uint8_t* codes) {
  Bytes bytes;
  read_bytes(packed, bytes);
  write_bytes<Bytes>(bytes & 15, codes);
  write_bytes<Bytes>(bytes >> 4, codes + sizeof bytes);
}

struct Q40 {
  static constexpr uint64_t kSize = 32, kBytes = 18, kBlock = 32;
  static constexpr int32_t kOffset = 8;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    split_nibbles<Bytes16>(block + 2, codes);
  }
};
struct Q41 {
  static constexpr uint64_t kSize = 32, kBytes = 20, kBlock = 32;
  static constexpr int32_t kOffset = 0;
  static constexpr bool kMinimums = true;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = load_half(block);
    minimums[0] = load_half(block + 2);
    split_nibbles<Bytes16>(block + 4, codes);
  }
};

// The fifth bits of 16 codes, each in its place.
inline Bytes16 fifth_bits(uint32_t bits) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return Bytes16(_mm_maskz_set1_epi8(static_cast<__mmask16>(bits), 16));
#else
  // Every byte looks at its own bit.
  const Bytes16 own{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  Bytes16 spread;
  for (int i = 0; i < 16; ++i) spread[i] = static_cast<uint8_t>(bits >> (i / 8 * 8));
  return Bytes16((spread & own) != 0) & 16;
#endif
}

// Low nibbles, then the high ones, each with its fifth bit.
inline void split_fives(const uint8_t* packed, uint32_t bits, uint8_t* codes) {
  Bytes16 bytes;
  read_bytes(packed, bytes);
  write_bytes<Bytes16>((bytes & 15) | fifth_bits(bits), codes);
  write_bytes<Bytes16>((bytes >> 4) | fifth_bits(bits >> 16), codes + 16);
}

struct Q50 {
  static constexpr uint64_t kSize = 32, kBytes = 22, kBlock = 32;
  static constexpr int32_t kOffset = 16;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    split_fives(block + 6, load_u32(block + 2), codes);
  }
};
struct Q51 {
  static constexpr uint64_t kSize = 32, kBytes = 24, kBlock = 32;
  static constexpr int32_t kOffset = 0;
  static constexpr bool kMinimums = true;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = load_half(block);
    minimums[0] = load_half(block + 2);
    split_fives(block + 8, load_u32(block + 4), codes);
  }
};
struct Q80 {
  static constexpr uint64_t kSize = 32, kBytes = 34, kBlock = 32;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(block[2 + i] ^ 0x80u);
  }
};

// values[code] + 128 for each of 16 bytes' low nibbles, then of the high ones.
inline void look_up_nibbles(const int8_t* values, const uint8_t* packed, uint8_t* codes) {
#if defined(__AVX2__)
  const __m128i table = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)),
                                      _mm_set1_epi8(static_cast<char>(0x80)));
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm_shuffle_epi8(table, low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm_shuffle_epi8(table, high));
#elif defined(PRECIS_NEON)
  const uint8x16_t table = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(values)), vdupq_n_u8(0x80));
  const uint8x16_t bytes = vld1q_u8(packed);
  vst1q_u8(codes, vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(15))));
  vst1q_u8(codes + 16, vqtbl1q_u8(table, vshrq_n_u8(bytes, 4)));
#else
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<uint8_t>(values[packed[i] & 15] + 128);
    codes[i + 16] = static_cast<uint8_t>(values[packed[i] >> 4] + 128);
  }
#endif
}

struct Iq4Nl {
  static constexpr uint64_t kSize = 32, kBytes = 18, kBlock = 32;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    look_up_nibbles(kIq4Values, block + 2, codes);
  }
};
struct Iq4Xs {
  static constexpr uint64_t kSize = 256, kBytes = 136, kBlock = 32;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = load_half(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (block[4 + group / 2] >> (4 * (group % 2))) & 15;
      scales[group] = d * static_cast<float>((low | ((high >> (2 * group)) & 3) << 4) - 32);
      look_up_nibbles(kIq4Values, block + 8 + 16 * group, codes + 32 * group);
    }
  }
};
struct Mxfp4 {
  static constexpr uint64_t kSize = 32, kBytes = 17, kBlock = 32;
  static constexpr int32_t kOffset = 128;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = e8m0_half(block[0]);
    look_up_nibbles(kFp4Values, block + 1, codes);
  }
};

}  // namespace integers
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
