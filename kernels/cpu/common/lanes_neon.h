// The types of lanes.h with NEON: eight lanes in two registers, so that whatever works on pairs of
// lines or on blocks of eight is the same as with AVX2.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr int kLanes = 8;

struct Mask {
  uint32x4_t v[2];
};
struct Floats {
  float32x4_t v[2];
  static Floats of(float value) { return {{vdupq_n_f32(value), vdupq_n_f32(value)}}; }
  static Floats load(const float* from) { return {{vld1q_f32(from), vld1q_f32(from + 4)}}; }
  static Floats gather(const float* from, int stride) {
    float values[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) values[lane] = from[lane * stride];
    return load(values);
  }
  void store(float* to) const {
    vst1q_f32(to, v[0]);
    vst1q_f32(to + 4, v[1]);
  }
};
struct Ints {
  int32x4_t v[2];
  static Ints of(int32_t value) { return {{vdupq_n_s32(value), vdupq_n_s32(value)}}; }
  static Ints load(const int32_t* from) { return {{vld1q_s32(from), vld1q_s32(from + 4)}}; }
  // One byte or 16-bit number a lane.
  static Ints load(const uint8_t* from) { return widened(vmovl_u8(vld1_u8(from))); }
  static Ints load(const int8_t* from) {
    const int16x8_t words = vmovl_s8(vld1_s8(from));
    return {{vmovl_s16(vget_low_s16(words)), vmovl_high_s16(words)}};
  }
  static Ints load(const uint16_t* from) { return widened(vld1q_u16(from)); }
  template <typename Element>
  static Ints gather(const Element* from, Ints index) {
    int32_t places[kLanes], values[kLanes];
    index.store(places);
    for (int lane = 0; lane < kLanes; ++lane)
      std::memcpy(values + lane, from + places[lane], sizeof values[lane]);
    return load(values);
  }
  void store(int32_t* to) const {
    vst1q_s32(to, v[0]);
    vst1q_s32(to + 4, v[1]);
  }

 private:
  static Ints widened(uint16x8_t words) {
    return {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words))),
             vreinterpretq_s32_u32(vmovl_high_u16(words))}};
  }
};

inline Ints as_ints(Floats a) {
  return {{vreinterpretq_s32_f32(a.v[0]), vreinterpretq_s32_f32(a.v[1])}};
}
inline Floats as_floats(Ints a) {
  return {{vreinterpretq_f32_s32(a.v[0]), vreinterpretq_f32_s32(a.v[1])}};
}

inline Floats operator+(Floats a, Floats b) {
  return {{vaddq_f32(a.v[0], b.v[0]), vaddq_f32(a.v[1], b.v[1])}};
}
inline Floats operator-(Floats a, Floats b) {
  return {{vsubq_f32(a.v[0], b.v[0]), vsubq_f32(a.v[1], b.v[1])}};
}
inline Floats operator*(Floats a, Floats b) {
  return {{vmulq_f32(a.v[0], b.v[0]), vmulq_f32(a.v[1], b.v[1])}};
}
inline Floats operator/(Floats a, Floats b) {
  return {{vdivq_f32(a.v[0], b.v[0]), vdivq_f32(a.v[1], b.v[1])}};
}
inline Mask operator<(Floats a, Floats b) {
  return {{vcltq_f32(a.v[0], b.v[0]), vcltq_f32(a.v[1], b.v[1])}};
}
inline Mask operator<=(Floats a, Floats b) {
  return {{vcleq_f32(a.v[0], b.v[0]), vcleq_f32(a.v[1], b.v[1])}};
}
inline Mask operator==(Floats a, Floats b) {
  return {{vceqq_f32(a.v[0], b.v[0]), vceqq_f32(a.v[1], b.v[1])}};
}
inline Mask operator&(Mask a, Mask b) {
  return {{vandq_u32(a.v[0], b.v[0]), vandq_u32(a.v[1], b.v[1])}};
}
inline Mask operator|(Mask a, Mask b) {
  return {{vorrq_u32(a.v[0], b.v[0]), vorrq_u32(a.v[1], b.v[1])}};
}
inline Mask operator!(Mask a) {
  return {{vmvnq_u32(a.v[0]), vmvnq_u32(a.v[1])}};
}
inline Mask not_less(Floats a, Floats b) {
  return !(a < b);
}
inline Mask not_less_or_equal(Floats a, Floats b) {
  return !(a <= b);
}
inline Floats select(Mask mask, Floats yes, Floats no) {
  return {{vbslq_f32(mask.v[0], yes.v[0], no.v[0]), vbslq_f32(mask.v[1], yes.v[1], no.v[1])}};
}
// Not NEON's own, of which a NaN comes out.
inline Floats min(Floats a, Floats b) {
  return select(a < b, a, b);
}
inline Floats max(Floats a, Floats b) {
  return select(b < a, a, b);
}
inline Floats abs(Floats a) {
  return {{vabsq_f32(a.v[0]), vabsq_f32(a.v[1])}};
}
inline Floats sqrt(Floats a) {
  return {{vsqrtq_f32(a.v[0]), vsqrtq_f32(a.v[1])}};
}
inline Floats nearest(Floats a) {
  return {{vrndnq_f32(a.v[0]), vrndnq_f32(a.v[1])}};
}
inline Mask mask_of(uint32_t bits) {
  const uint32x4_t first = {1, 2, 4, 8}, last = {16, 32, 64, 128};
  return {{vtstq_u32(vdupq_n_u32(bits), first), vtstq_u32(vdupq_n_u32(bits), last)}};
}
inline uint32_t bits_of(Mask a) {
  const uint32x4_t first = {1, 2, 4, 8}, last = {16, 32, 64, 128};
  return vaddvq_u32(vorrq_u32(vandq_u32(a.v[0], first), vandq_u32(a.v[1], last)));
}
inline bool any(Mask a) {
  return vmaxvq_u32(vorrq_u32(a.v[0], a.v[1])) != 0;
}
inline bool all(Mask a) {
  return vminvq_u32(vandq_u32(a.v[0], a.v[1])) != 0;
}
inline bool any_nan(Floats a, Floats b) {
  return !all((a == a) & (b == b));
}

inline Ints min(Ints a, Ints b) {
  return {{vminq_s32(a.v[0], b.v[0]), vminq_s32(a.v[1], b.v[1])}};
}
inline Ints max(Ints a, Ints b) {
  return {{vmaxq_s32(a.v[0], b.v[0]), vmaxq_s32(a.v[1], b.v[1])}};
}
inline Ints operator+(Ints a, Ints b) {
  return {{vaddq_s32(a.v[0], b.v[0]), vaddq_s32(a.v[1], b.v[1])}};
}
inline Ints operator-(Ints a, Ints b) {
  return {{vsubq_s32(a.v[0], b.v[0]), vsubq_s32(a.v[1], b.v[1])}};
}
inline Ints operator*(Ints a, Ints b) {
  return {{vmulq_s32(a.v[0], b.v[0]), vmulq_s32(a.v[1], b.v[1])}};
}
inline Ints operator|(Ints a, Ints b) {
  return {{vorrq_s32(a.v[0], b.v[0]), vorrq_s32(a.v[1], b.v[1])}};
}
inline Ints operator&(Ints a, Ints b) {
  return {{vandq_s32(a.v[0], b.v[0]), vandq_s32(a.v[1], b.v[1])}};
}
inline Ints operator<<(Ints a, int count) {
  const int32x4_t up = vdupq_n_s32(count);
  return {{vshlq_s32(a.v[0], up), vshlq_s32(a.v[1], up)}};
}
// NEON shifts down by negative counts.
inline Ints operator>>(Ints a, Ints counts) {
  const auto down = [](int32x4_t value, int32x4_t count) {
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(value), vnegq_s32(count)));
  };
  return {{down(a.v[0], counts.v[0]), down(a.v[1], counts.v[1])}};
}
inline Ints operator>>(Ints a, int count) {
  return a >> Ints::of(count);
}
inline Mask any_bit(Ints a, Ints bits) {
  return {{vtstq_s32(a.v[0], bits.v[0]), vtstq_s32(a.v[1], bits.v[1])}};
}
inline Mask operator==(Ints a, Ints b) {
  return {{vceqq_s32(a.v[0], b.v[0]), vceqq_s32(a.v[1], b.v[1])}};
}
inline Ints add_where(Mask mask, Ints index, Ints step) {
  const Ints ones{{vreinterpretq_s32_u32(mask.v[0]), vreinterpretq_s32_u32(mask.v[1])}};
  return index + (ones & step);
}
inline Floats to_floats(Ints a) {
  return {{vcvtq_f32_s32(a.v[0]), vcvtq_f32_s32(a.v[1])}};
}
inline float largest_of(Floats a) {
  return vmaxvq_f32(vmaxq_f32(a.v[0], a.v[1]));
}
inline float smallest_of(Floats a) {
  return vminvq_f32(vminq_f32(a.v[0], a.v[1]));
}
inline float sum_of(Floats a) {
  const float32x4_t four = vaddq_f32(a.v[0], a.v[1]);
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
inline int32_t sum_of(Ints a) {
  return vaddvq_s32(vaddq_s32(a.v[0], a.v[1]));
}
inline int32_t largest_of(Ints a) {
  return vmaxvq_s32(vmaxq_s32(a.v[0], a.v[1]));
}

// NEON's own conversion gives the nearest number, and 0 for a NaN.
inline Ints truncate(Floats values) {
  const Mask held = abs(values) < Floats::of(2147483648.0f);
  const Ints whole{{vcvtq_s32_f32(values.v[0]), vcvtq_s32_f32(values.v[1])}};
  return as_ints(select(held, as_floats(whole), as_floats(Ints::of(INT32_MIN))));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
