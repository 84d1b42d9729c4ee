#include "bench/codecs/limits.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace precis::bench {

#if defined(__SSE2__)

uint64_t read_memory(const std::byte* data, uint64_t size) {
  const auto* first = reinterpret_cast<const __m128i*>(data);
  const uint64_t half = size / 2 / sizeof(__m128i);
  const __m128i* second = first + half;
  __m128i sums[8] = {};
  for (uint64_t i = 0; i + 4 <= half; i += 4) {
    for (uint64_t k = 0; k < 4; ++k) {
      sums[k] = _mm_xor_si128(sums[k], _mm_load_si128(first + i + k));
      sums[k + 4] = _mm_xor_si128(sums[k + 4], _mm_load_si128(second + i + k));
    }
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm_xor_si128(sums[0], sums[k]);
  uint64_t halves[2];
  std::memcpy(halves, &sums[0], sizeof halves);
  return halves[0] ^ halves[1];
}

void write_memory(std::byte* data, uint64_t size) {
  auto* out = reinterpret_cast<__m128i*>(data);
  __m128i value = _mm_set_epi32(0x1f83d9ab, 0x3c6ef372, 0x510e527f, 0x6a09e667);
  const __m128i step = _mm_set1_epi32(0x3779b97f);
  for (uint64_t i = 0; i < size / sizeof(__m128i); i += 4) {
    value = _mm_add_epi32(value, step);
    for (uint64_t k = 0; k < 4; ++k) _mm_stream_si128(out + i + k, value);
  }
  _mm_sfence();
}

#else

uint64_t read_memory(const std::byte* data, uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < size; i += sizeof sum) {
    uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    sum ^= word;
  }
  return sum;
}

void write_memory(std::byte* data, uint64_t size) {
  uint64_t value = 0x6a09e667f3bcc908u;
  for (uint64_t i = 0; i < size; i += sizeof value) {
    value += 0x3779b97f4a7c15u;
    std::memcpy(data + i, &value, sizeof value);
  }
}

#endif

}  // namespace precis::bench
