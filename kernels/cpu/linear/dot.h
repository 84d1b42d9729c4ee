// Vectors of float32 and int32, and the ways to multiply groups of numbers into 32-bit sums.
//
// A word is 32 bits of neighbours along in_features: one float32, two bfloat16 or int16, four
// bytes. A kernel adds the product of a broadcast word of a weight and a vector of words, one of
// each row of the activations, to one sum a lane.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(PRECIS_NEON)
#include <arm_neon.h>
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

#if defined(__AVX512F__)
inline constexpr uint64_t kWidth = 16;
#elif defined(__AVX2__)
inline constexpr uint64_t kWidth = 8;
#else
inline constexpr uint64_t kWidth = 4;
#endif

typedef float Floats __attribute__((vector_size(kWidth * 4)));
typedef int32_t Ints __attribute__((vector_size(kWidth * 4)));

template <typename Vector>
inline Vector load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
template <typename Vector>
inline void store(void* to, Vector vector) {
  std::memcpy(to, &vector, sizeof vector);
}
inline Floats broadcast(float value) {
  return value - Floats{};
}
inline Ints broadcast(int32_t value) {
  return value + Ints{};
}
inline Floats to_floats(Ints value) {
  return __builtin_convertvector(value, Floats);
}
// a * b + c, rounded once where the machine can.
inline Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return Floats(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
#elif defined(__AVX2__)
  return Floats(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
#elif defined(PRECIS_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}
inline float sum_of(Floats value) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(__m512(value));
#endif
  float sum = 0;
  for (uint64_t lane = 0; lane < kWidth; ++lane) sum += value[lane];
  return sum;
}
inline int32_t sum_of(Ints value) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_epi32(__m512i(value));
#endif
  int32_t sum = 0;
  for (uint64_t lane = 0; lane < kWidth; ++lane) sum += value[lane];
  return sum;
}

struct DotFloat32 {
  using Sums = Floats;
  using Weight = float;
  using X = float;
  static constexpr uint64_t kGroup = 1;
  static Ints word(const Weight* weight) {
    int32_t bits;
    std::memcpy(&bits, weight, sizeof bits);
    return broadcast(bits);
  }
  static void add(Sums& sums, Ints weight, Ints x) {
    sums = multiply_add(Floats(weight), Floats(x), sums);
  }
};

#if defined(__AVX512BF16__) || \
    (defined(PRECIS_NEON) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC))
#define PRECIS_DOT_OF_BFLOAT16 1  // pairs, in one instruction
// GCC 12 copies and spills the accumulator of the intrinsics of AVX-512's two instructions; the
// assembly leaves it nothing to copy.
struct DotBFloat16 {
  using Sums = Floats;
  using Weight = uint16_t;
  using X = uint16_t;
  static constexpr uint64_t kGroup = 2;
  static Ints word(const Weight* weight) {
    int32_t bits;
    std::memcpy(&bits, weight, sizeof bits);
    return broadcast(bits);
  }
  static void add(Sums& sums, Ints weight, Ints x) {
#if defined(PRECIS_NEON)
    sums = vbfdotq_f32(sums, bfloat16x8_t(weight), bfloat16x8_t(x));
#else
    asm("vdpbf16ps %2, %1, %0" : "+v"(sums) : "v"(weight), "v"(x));
#endif
  }
};
#endif

// Bytes of a weight times signed numbers of the activations; exact. int8 codes become the bytes of
// a weight by ^ kFlip: the bytes are unsigned where it is 0x80, else signed. Where bytes are not
// multiplied by an instruction of their own, they are 16 bits wide.
#if defined(__AVX512VNNI__) || (defined(PRECIS_NEON) && defined(__ARM_FEATURE_DOTPROD))
#define PRECIS_DOT_OF_FOUR 1  // bytes, in one instruction
struct DotBytes {
  using Sums = Ints;
  using Weight = uint8_t;
  using X = int8_t;
  static constexpr uint64_t kGroup = 4;
#if defined(PRECIS_NEON)
  static constexpr uint8_t kFlip = 0;
#else
  static constexpr uint8_t kFlip = 0x80;
#endif
  static Ints word(const Weight* weight) {
    int32_t bits;
    std::memcpy(&bits, weight, sizeof bits);
    return broadcast(bits);
  }
  static void add(Sums& sums, Ints weight, Ints x) {
#if defined(PRECIS_NEON)
    sums = vdotq_s32(sums, int8x16_t(weight), int8x16_t(x));
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weight), "v"(x));
#endif
  }
};
#else
struct DotBytes {
  using Sums = Ints;
  using Weight = int16_t;
  using X = int16_t;
  static constexpr uint64_t kGroup = 2;
  static constexpr uint8_t kFlip = 0;
  static Ints word(const Weight* weight) {
    int32_t bits;
    std::memcpy(&bits, weight, sizeof bits);
    return broadcast(bits);
  }
  static void add(Sums& sums, Ints weight, Ints x) {
#if defined(__AVX512BW__)
    sums += Ints(_mm512_madd_epi16(__m512i(weight), __m512i(x)));
#elif defined(__AVX2__)
    sums += Ints(_mm256_madd_epi16(__m256i(weight), __m256i(x)));
#elif defined(__SSE2__)
    sums += Ints(_mm_madd_epi16(__m128i(weight), __m128i(x)));
#elif defined(PRECIS_NEON)
    const auto pairs = int16x8_t(weight), numbers = int16x8_t(x);
    sums += vpaddq_s32(vmull_s16(vget_low_s16(pairs), vget_low_s16(numbers)),
                       vmull_high_s16(pairs, numbers));
#else
    sums += (weight << 16 >> 16) * (x << 16 >> 16) + (weight >> 16) * (x >> 16);
#endif
  }
};
#endif

// Codes from 0 on, in place, as the bytes of a weight, and what such a byte is for code 0. Codes of
// 128 and more, which signed bytes do not hold, are those around 128.
inline constexpr bool is_flipped(int32_t offset) {
  return sizeof(DotBytes::Weight) == 1 && DotBytes::kFlip == 0 && offset == 128;
}
inline constexpr int32_t byte_offset(int32_t offset) {
  return is_flipped(offset) ? 0 : offset;
}
inline void make_bytes(int32_t offset, uint8_t* codes, uint64_t count) {
  if (!is_flipped(offset)) return;
  for (uint64_t i = 0; i < count; ++i) codes[i] ^= 0x80;
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
