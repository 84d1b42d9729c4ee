// Lines and tables of numbers with NEON: what lanes are stored as, and looked up in.
#pragma once

#include "kernels/cpu/common/bytes_neon.h"
#include "kernels/cpu/common/lanes_neon.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

struct Table16 {
  uint8x16x4_t bytes;
  static Table16 load(const float* values) {
    return {vld1q_u8_x4(reinterpret_cast<const uint8_t*>(values))};
  }
  Floats operator[](Ints index) const { return {{at(index.v[0]), at(index.v[1])}}; }

 private:
  // The four bytes of number `index`, by their places in the table.
  float32x4_t at(int32x4_t index) const {
    const int32x4_t low = vandq_s32(index, vdupq_n_s32(15));
    const int32x4_t places = vmlaq_s32(vdupq_n_s32(0x03020100), low, vdupq_n_s32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl4q_u8(bytes, vreinterpretq_u8_s32(places)));
  }
};

inline Floats floats_of_halves(uint16x8_t bits) {
  const float16x8_t halves = vreinterpretq_f16_u16(bits);
  return {{vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)}};
}
inline uint16x8_t halves_of(Floats a) {
  return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a.v[0]), a.v[1]));
}
// The low 16 bits of every lane.
inline uint16x8_t low_words(Ints a) {
  return vuzp1q_u16(vreinterpretq_u16_s32(a.v[0]), vreinterpretq_u16_s32(a.v[1]));
}
inline uint16x8_t high_words(Ints a) {
  return vuzp2q_u16(vreinterpretq_u16_s32(a.v[0]), vreinterpretq_u16_s32(a.v[1]));
}

inline Floats load_halves(const void* from) {
  return floats_of_halves(vld1q_u16(static_cast<const uint16_t*>(from)));
}
inline Floats round_through_half(Floats a) {
  return floats_of_halves(halves_of(a));
}
inline Floats half_bits_to_floats(Ints bits) {
  return floats_of_halves(low_words(bits));
}

// As in lines_avx512.h.
inline Floats load_float8_e4m3fn(const uint8_t* from) {
  const int16x8_t codes = vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(from)));
  const uint16x8_t halves =
      vandq_u16(vreinterpretq_u16_s16(vshlq_n_s16(codes, 7)), vdupq_n_u16(0xbf80));
  const uint16x8_t full = vdupq_n_u16(0x3f80);
  const uint16x8_t nan = vceqq_u16(vandq_u16(halves, full), full);
  return floats_of_halves(vorrq_u16(halves, vandq_u16(nan, vdupq_n_u16(0x7c00)))) * Floats::of(256);
}

struct Line {
  uint8x16_t v[2];
};
inline constexpr uint64_t kLineBytes = 32;
inline Line line_of(Floats a) {
  return {{vreinterpretq_u8_f32(a.v[0]), vreinterpretq_u8_f32(a.v[1])}};
}
inline Line line_of_words(uint16x8_t a, uint16x8_t b) {
  return {{vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)}};
}
inline Line line_of_halves(Floats a, Floats b) {
  return line_of_words(halves_of(a), halves_of(b));
}
inline Line line_of_upper(Ints a, Ints b) {
  return line_of_words(high_words(a), high_words(b));
}
// The bytes of each number are looked up apart.
struct Words16 {
  uint8x16_t low, high;
  explicit Words16(Line words)
      : low(vuzp1q_u8(words.v[0], words.v[1])), high(vuzp2q_u8(words.v[0], words.v[1])) {}
  // The numbers of 16 codes.
  Line operator[](const uint8_t* codes) const {
    const uint8x16_t index = vld1q_u8(codes);
    const uint8x16_t lower = vqtbl1q_u8(low, index), upper = vqtbl1q_u8(high, index);
    return {{vzip1q_u8(lower, upper), vzip2q_u8(lower, upper)}};
  }
};
// The 64 codes of 32 bytes, the high nibble of each first.
inline void unpack_nibbles(const uint8_t* packed, uint8_t* codes) {
  for (int i = 0; i < 2; ++i) {
    const uint8x16_t both = vld1q_u8(packed + 16 * i);
    vst2q_u8(codes + 32 * i, {{vshrq_n_u8(both, 4), vandq_u8(both, vdupq_n_u8(15))}});
  }
}

inline Line load_line(const void* from) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  return {{vld1q_u8(bytes), vld1q_u8(bytes + 16)}};
}
inline void store(void* to, Line line) {
  auto* bytes = static_cast<uint8_t*>(to);
  vst1q_u8(bytes, line.v[0]);
  vst1q_u8(bytes + 16, line.v[1]);
}
// Arm's caches take whole lines that are written without reading them first.
inline void stream(void* to, Line line) {
  store(to, line);
}
inline void order_streamed() {}

// The low byte of each lane.
inline void store_bytes(uint8_t* to, Ints values) {
  vst1_u8(to, vmovn_u16(low_words(values)));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
