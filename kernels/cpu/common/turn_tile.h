// Square tiles of 32-bit words with rows and columns exchanged.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/common/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr uint64_t kTile = 16;

// turn_tile: word i of to's row j becomes word j of from's row i. Rows of `from` lie from_stride
// words apart, those of `to`, which need not be aligned, to_stride bytes.

#if defined(__AVX512F__)
inline void turn_tile(const uint32_t* from, uint64_t from_stride, uint8_t* to, uint64_t to_stride) {
  __m512i pairs[kTile], fours[kTile];
  for (uint64_t i = 0; i < kTile; i += 2) {
    const __m512i a = _mm512_loadu_si512(from + i * from_stride);
    const __m512i b = _mm512_loadu_si512(from + (i + 1) * from_stride);
    pairs[i] = _mm512_unpacklo_epi32(a, b);
    pairs[i + 1] = _mm512_unpackhi_epi32(a, b);
  }
  // fours[i + k]: column k of each four columns, of rows i to i + 3.
  for (uint64_t i = 0; i < kTile; i += 4) {
    fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  constexpr int kEven = 0x88, kOdd = 0xdd;  // quarters of two vectors
  for (uint64_t k = 0; k < 4; ++k) {
    const __m512i even = _mm512_shuffle_i32x4(fours[k], fours[4 + k], kEven);
    const __m512i odd = _mm512_shuffle_i32x4(fours[k], fours[4 + k], kOdd);
    const __m512i last_even = _mm512_shuffle_i32x4(fours[8 + k], fours[12 + k], kEven);
    const __m512i last_odd = _mm512_shuffle_i32x4(fours[8 + k], fours[12 + k], kOdd);
    _mm512_storeu_si512(to + k * to_stride, _mm512_shuffle_i32x4(even, last_even, kEven));
    _mm512_storeu_si512(to + (4 + k) * to_stride, _mm512_shuffle_i32x4(odd, last_odd, kEven));
    _mm512_storeu_si512(to + (8 + k) * to_stride, _mm512_shuffle_i32x4(even, last_even, kOdd));
    _mm512_storeu_si512(to + (12 + k) * to_stride, _mm512_shuffle_i32x4(odd, last_odd, kOdd));
  }
}
#elif defined(__AVX2__)
// A quarter of a tile.
inline void turn_eight(const uint32_t* from, uint64_t from_stride, uint8_t* to,
                       uint64_t to_stride) {
  __m256i pairs[8], fours[8];
  const auto load = [&](uint64_t row) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + row * from_stride));
  };
  for (uint64_t i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(load(i), load(i + 1));
    pairs[i + 1] = _mm256_unpackhi_epi32(load(i), load(i + 1));
  }
  for (uint64_t i = 0; i < 8; i += 4) {
    fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  for (uint64_t k = 0; k < 4; ++k) {
    const auto store = [&](uint64_t row, __m256i words) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + row * to_stride), words);
    };
    store(k, _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x20));
    store(4 + k, _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x31));
  }
}

inline void turn_tile(const uint32_t* from, uint64_t from_stride, uint8_t* to, uint64_t to_stride) {
  for (uint64_t row = 0; row < kTile; row += 8) {
    for (uint64_t column = 0; column < kTile; column += 8)
      turn_eight(from + row * from_stride + column, from_stride,
                 to + column * to_stride + row * sizeof(uint32_t), to_stride);
  }
}
#else
inline void turn_tile(const uint32_t* from, uint64_t from_stride, uint8_t* to, uint64_t to_stride) {
  for (uint64_t row = 0; row < kTile; ++row) {
    for (uint64_t column = 0; column < kTile; ++column)
      std::memcpy(to + column * to_stride + row * sizeof(uint32_t),
                  from + row * from_stride + column, sizeof(uint32_t));
  }
}
#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
