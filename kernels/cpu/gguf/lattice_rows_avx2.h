// Rows of the codebook types IQ1, IQ2 and IQ3.
#pragma once

#include "kernels/cpu/gguf/lattice_numbers_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// What all of them have in common, as SuperBlockRow takes it.
template <typename NumbersOf, uint64_t kBytesOfBlock, int kColumnsOfScale>
struct Lattice {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = kBytesOfBlock, kBlock = 32;
  static constexpr int kScaleColumns = kColumnsOfScale;
  static constexpr bool kHasOffsets = false, kLooksUp = true;
  const IqGrids& grids = iq_grids();
};

// Four indices of a byte, and four times 7 bits of signs below 4 of a scale, for 32 columns.
template <typename Numbers>
struct Iq2Xxs : Lattice<Numbers, 66, 32> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    uint64_t codes = 0;
    for (int i = 0; i < 8; ++i) codes |= uint64_t{block[9 + 8 * i]} >> 4 << (8 * i);
    store_8_scales(_mm_cvtsi64_si128(static_cast<int64_t>(codes)),
                   0.25f * load_half(block) * Numbers::kScale, scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint8_t* at = block + 2 + 8 * i;
    return Numbers::integers(with_signs(look_up(this->grids.iq2xxs, at[0], at[1], at[2], at[3]),
                                        even_signs(load_u32(at + 4))));
  }
};

// Nine bits of an index and seven of signs.
template <typename Numbers>
struct Iq2Xs : Lattice<Numbers, 74, 16> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    store_16_scales(nibbles_of(load_u64(block + 66)), 0.25f * load_half(block) * Numbers::kScale,
                    scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint64_t at = load_u64(block + 2 + 8 * i);
    const auto index = [&](int k) { return static_cast<uint32_t>(at >> (16 * k) & 511); };
    return Numbers::integers(
        with_signs(look_up(this->grids.iq2xs, index(0), index(1), index(2), index(3)),
                   even_signs(static_cast<uint32_t>(_pext_u64(at, 0xfe00fe00fe00fe00)))));
  }
};

// A byte of an index, a byte of signs; two more bits of each index further on.
template <typename Numbers>
struct Iq2S : Lattice<Numbers, 82, 16> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    store_16_scales(nibbles_of(load_u64(block + 74)), 0.25f * load_half(block) * Numbers::kScale,
                    scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint32_t high = block[66 + i];
    const auto index = [&](int k) { return block[2 + 4 * i + k] | (high << (8 - 2 * k) & 0x300); };
    return Numbers::integers(
        with_signs(look_up(this->grids.iq2s, index(0), index(1), index(2), index(3)),
                   load_u32(block + 34 + 4 * i)));
  }
};

// Eight indices of a byte for 32 columns, signs and scales as IQ2_XXS has them further on.
template <typename Numbers>
struct Iq3Xxs : Lattice<Numbers, 98, 32> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    uint64_t codes = 0;
    for (int i = 0; i < 8; ++i) codes |= uint64_t{block[69 + 4 * i]} >> 4 << (8 * i);
    store_8_scales(_mm_cvtsi64_si128(static_cast<int64_t>(codes)),
                   0.5f * load_half(block) * Numbers::kScale, scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint8_t* at = block + 2 + 8 * i;
    return Numbers::integers(with_signs(look_up(this->grids.iq3xxs, [&](int k) { return at[k]; }),
                                        even_signs(load_u32(block + 66 + 4 * i))));
  }
};

// Eight indices of a byte for 32 columns, a ninth bit of each, and a bit for each sign.
template <typename Numbers>
struct Iq3S : Lattice<Numbers, 110, 32> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    store_8_scales(nibbles_of(load_u32(block + 106)), 2.0f * load_half(block) * Numbers::kScale,
                   scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint8_t* at = block + 2 + 8 * i;
    const uint32_t high = block[66 + i];
    return Numbers::integers(with_signs(
        look_up(this->grids.iq3s, [&](int k) { return at[k] | (high << (8 - k) & 0x100); }),
        load_u32(block + 74 + 4 * i)));
  }
};

// A byte of an index; for 32 columns three more bits of each of four, a scale and a shift.
template <typename Numbers>
struct Iq1S : Lattice<Numbers, 50, 32> {
  // (2 s + 1) / 8
  static void load_scales(const uint8_t* block, float* scales, float*) {
    const __m128i fields = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 34));
    const __m128i codes = _mm_and_si128(_mm_srli_epi16(fields, 12), _mm_set1_epi16(7));
    store_8_scales(_mm_packus_epi16(codes, codes), 0.25f * load_half(block) * Numbers::kScale,
                   scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint32_t fields = load_u16(block + 34 + 2 * i);
    const auto index = [&](int k) { return block[2 + 4 * i + k] | (fields >> (3 * k) & 7) << 8; };
    const int shift = 1 - static_cast<int>(fields >> 15) * 2;
    return Numbers::integers(
        eighths(look_up(this->grids.iq1s, index(0), index(1), index(2), index(3)),
                _mm256_set1_epi8(static_cast<char>(shift))));
  }
};

// A byte of an index, three more bits of it and a shift for eight columns; 16 scales of three bits
// among the bits of the block's.
template <typename Numbers>
struct Iq1M : Lattice<Numbers, 56, 16> {
  static void load_scales(const uint8_t* block, float* scales, float*) {
    const uint64_t fields = load_u64(block + 48);
    const uint64_t codes = _pext_u64(fields, 0x0fff0fff0fff0fff);
    const __m128i bytes =
        _mm_set_epi64x(static_cast<int64_t>(_pdep_u64(codes >> 24, 0x0707070707070707)),
                       static_cast<int64_t>(_pdep_u64(codes, 0x0707070707070707)));
    const auto scale = static_cast<uint16_t>(_pext_u64(fields, 0xf000f000f000f000));
    store_16_scales(bytes, 0.25f * F16::load(&scale, 0) * Numbers::kScale, scales);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    const uint32_t nibbles = load_u16(block + 32 + 2 * i);
    const auto index = [&](int k) { return block[4 * i + k] | (nibbles >> (4 * k) & 7) << 8; };
    // All bits of the bytes that move down, and 1 in the others.
    const __m256i minus = bytes_with(_pdep_u32(_pext_u32(nibbles, 0x8888), 0x01010101) * 0xff);
    return Numbers::integers(
        eighths(look_up(this->grids.iq1s, index(0), index(1), index(2), index(3)),
                _mm256_or_si256(minus, _mm256_set1_epi8(1))));
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
