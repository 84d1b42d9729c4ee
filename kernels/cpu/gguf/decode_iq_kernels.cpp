// Decoding of the codebook types IQ1, IQ2 and IQ3. Compiled once for each instruction set.
#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/iq_grids.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Eight magnitudes of a byte each, the first in the low bits, with their signs.
inline void signed_values(uint64_t magnitudes, uint32_t signs, float scale, float* out) {
#if defined(__AVX2__)
  // Signs are as good as random: a branch for each would be guessed wrong half the time.
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i own = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(signs)), bits);
  const __m256 minus =
      _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(own, bits)), _mm256_set1_ps(-0.0f));
  const __m256 numbers = _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(static_cast<long long>(magnitudes))));
  _mm256_storeu_ps(out, _mm256_xor_ps(_mm256_mul_ps(_mm256_set1_ps(scale), numbers), minus));
#elif defined(PRECIS_NEON)
  int8_t bytes[8];
  std::memcpy(bytes, &magnitudes, sizeof bytes);
  const Floats numbers = Floats::of(scale) * to_floats(Ints::load(bytes));
  const Floats negated{{vnegq_f32(numbers.v[0]), vnegq_f32(numbers.v[1])}};
  select(mask_of(signs), negated, numbers).store(out);
#else
  for (int j = 0; j < 8; ++j) {
    const float value = scale * static_cast<float>(magnitudes >> (8 * j) & 0xff);
    out[j] = ((signs >> j) & 1) != 0 ? -value : value;
  }
#endif
}
inline uint64_t eight(const int8_t* magnitudes) {
  uint64_t all;
  std::memcpy(&all, magnitudes, sizeof all);
  return all;
}
inline uint64_t four_and_four(const int8_t* low, const int8_t* high) {
  uint32_t both[2];
  std::memcpy(both, low, sizeof both[0]);
  std::memcpy(both + 1, high, sizeof both[1]);
  return both[0] | uint64_t{both[1]} << 32;
}

// The shift of a group, by its bit: a branch would be guessed wrong half the time.
constexpr float kShifts[2] = {0.125f, -0.125f};

// scale * (number + delta) of eight numbers.
inline void shifted_values(const int8_t* numbers, float delta, float scale, float* out) {
#if defined(__AVX2__)
  const __m256 eight_numbers = _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(numbers))));
  const __m256 shifted = _mm256_add_ps(eight_numbers, _mm256_set1_ps(delta));
  _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_set1_ps(scale), shifted));
#elif defined(PRECIS_NEON)
  const Floats shifted = to_floats(Ints::load(numbers)) + Floats::of(delta);
  (Floats::of(scale) * shifted).store(out);
#else
  for (int j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(numbers[j]) + delta);
#endif
}

}  // namespace

void decode_iq2_xxs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 66, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* index = block + 2 + 8 * group;
      const uint32_t a = load_u32(index + 4);
      const float db = d * (0.5f + static_cast<float>(a >> 28)) * 0.25f;
      for (int l = 0; l < 4; ++l) {
        signed_values(eight(grids.iq2xxs[index[l]]), grids.signs[(a >> (7 * l)) & 127], db,
                      out + 32 * group + 8 * l);
      }
    }
  }
}

void decode_iq2_xs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 74, out += 256) {
    const float d = load_half(block);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const uint16_t q = load_u16(block + 2 + 2 * chunk);
      const int scale = (block[66 + chunk / 4] >> (4 * ((chunk / 2) % 2))) & 15;
      const float db = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      signed_values(eight(grids.iq2xs[q & 511]), grids.signs[q >> 9], db, out + 8 * chunk);
    }
  }
}

void decode_iq2_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 82, out += 256) {
    const float d = load_half(block);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const int group = chunk / 4, l = chunk % 4;
      const int index = block[2 + chunk] | ((block[66 + group] << (8 - 2 * l)) & 0x300);
      const int scale = (block[74 + group] >> (4 * (l / 2))) & 15;
      const float db = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      signed_values(eight(grids.iq2s[index]), block[34 + chunk], db, out + 8 * chunk);
    }
  }
}

void decode_iq3_xxs(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 98, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* index = block + 2 + 8 * group;
      const uint32_t a = load_u32(block + 66 + 4 * group);
      const float db = d * (0.5f + static_cast<float>(a >> 28)) * 0.5f;
      for (int l = 0; l < 4; ++l) {
        const uint32_t signs = grids.signs[(a >> (7 * l)) & 127];
        signed_values(four_and_four(grids.iq3xxs[index[2 * l]], grids.iq3xxs[index[2 * l + 1]]),
                      signs, db, out + 32 * group + 8 * l);
      }
    }
  }
}

void decode_iq3_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 110, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const int scale = (block[106 + group / 2] >> (4 * (group % 2))) & 15;
      const float db = d * static_cast<float>(1 + 2 * scale);
      const int high = block[66 + group];
      for (int l = 0; l < 4; ++l) {
        const uint8_t* index = block + 2 + 8 * group + 2 * l;
        const uint32_t signs = block[74 + 4 * group + l];
        const int8_t* first = grids.iq3s[index[0] | ((high << (8 - 2 * l)) & 256)];
        const int8_t* second = grids.iq3s[index[1] | ((high << (7 - 2 * l)) & 256)];
        signed_values(four_and_four(first, second), signs, db, out + 32 * group + 8 * l);
      }
    }
  }
}

void decode_iq1_s(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 50, out += 256) {
    const float d = load_half(block);
    for (int group = 0; group < 8; ++group) {
      const uint16_t high = load_u16(block + 34 + 2 * group);
      const float dl = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      const float delta = kShifts[high >> 15];
      for (int l = 0; l < 4; ++l) {
        const int8_t* grid = grids.iq1s[block[2 + 4 * group + l] | (((high >> (3 * l)) & 7) << 8)];
        shifted_values(grid, delta, dl, out + 32 * group + 8 * l);
      }
    }
  }
}

void decode_iq1_m(const uint8_t* block, uint64_t count, float* out) {
  const IqGrids& grids = iq_grids();
  for (; count > 0; --count, block += 56, out += 256) {
    uint16_t scales[4];
    for (int i = 0; i < 4; ++i) scales[i] = load_u16(block + 48 + 2 * i);
    const auto bits = static_cast<uint16_t>((scales[0] >> 12) | ((scales[1] >> 8) & 0xf0) |
                                            ((scales[2] >> 4) & 0xf00) | (scales[3] & 0xf000));
    const float d = half_to_float(bits);
    for (int chunk = 0; chunk < 32; ++chunk) {
      const int half = chunk / 2, high = block[32 + half];
      const float dl = d * static_cast<float>(2 * ((scales[half / 4] >> (3 * (half % 4))) & 7) + 1);
      const bool odd = chunk % 2 != 0;
      const int index = block[chunk] | ((odd ? high << 4 : high << 8) & 0x700);
      const float delta = kShifts[high >> (odd ? 7 : 3) & 1];
      shifted_values(grids.iq1s[index], delta, dl, out + 8 * chunk);
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
