// Rows of numbers of one byte, turned into float32 or a narrower dtype by a formula.
#pragma once

#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/common/microscaling.h"
#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if PRECIS_LANES > 1
// The nearest 8-bit floating-point codes of values clamped to +-largest, ties to even; a NaN gives
// `nan`. dropped: bits that the mantissa loses; bias: by how much its exponents are smaller than
// float32's. Below smallest_normal, adding `shifter` leaves the rounded mantissa in the low bits.
inline Ints float8_codes(Floats value, float largest, int dropped, int bias, float smallest_normal,
                         float shifter, int nan) {
  const Floats clamped = min(Floats::of(largest), max(Floats::of(-largest), value));
  const Ints magnitude = as_ints(clamped) & Ints::of(0x7fffffff);
  const Ints sign = (as_ints(clamped) >> 24) & Ints::of(0x80);
  const Ints odd = (magnitude >> dropped) & Ints::of(1);
  const Ints rounded = magnitude + Ints::of((1 << (dropped - 1)) - 1) + odd;
  const Ints normal = (rounded >> dropped) - Ints::of(bias << (23 - dropped));
  const Ints subnormal =
      as_ints(as_floats(magnitude) + Floats::of(shifter)) - as_ints(Floats::of(shifter));
  const Floats code = select(as_floats(magnitude) < Floats::of(smallest_normal),
                             as_floats(subnormal), as_floats(normal));
  return as_ints(select(value == value, as_floats(as_ints(code) | sign), as_floats(Ints::of(nan))));
}
#endif

// What a byte stands for. codes(values, nan): the nearest codes, saturated.
struct SignedBytes {
  static float number(uint8_t code) { return static_cast<float>(static_cast<int8_t>(code)); }
#if PRECIS_LANES > 1
  static Floats numbers(const uint8_t* codes) {
    return to_floats(Ints::load(reinterpret_cast<const int8_t*>(codes)));
  }
#endif
};
struct UnsignedBytes {
  static float number(uint8_t code) { return static_cast<float>(static_cast<int>(code)); }
#if PRECIS_LANES > 1
  static Floats numbers(const uint8_t* codes) {
    return to_floats(Ints::load(codes));
  }
#endif
};
struct Float8E4M3FN {
  static float number(uint8_t code) { return float8_e4m3fn_to_float(code); }
#if PRECIS_LANES > 1
  static Floats numbers(const uint8_t* codes) {
    return load_float8_e4m3fn(codes);
  }
  static Ints codes(Floats values, int nan) {
    return float8_codes(values, 448.0f, 20, 120, 0x1p-6f, 16384.0f, nan);
  }
#endif
};
struct Float8E5M2 {
  static float number(uint8_t code) { return float8_e5m2_to_float(code); }
#if PRECIS_LANES > 1
  static Floats numbers(const uint8_t* codes) {
    return half_bits_to_floats(Ints::load(codes) << 8);
  }
  static Ints codes(Floats values, int nan) {
    return float8_codes(values, 57344.0f, 21, 112, 0x1p-14f, 128.0f, nan);
  }
#endif
};

// A code in the low 6 bits of a byte.
struct Float6E2M3 {
  static float number(uint8_t code) { return float6_e2m3_to_float(code); }
#if PRECIS_LANES > 1
  // By way of binary16, whose bits hold the code's; its exponents are smaller by 14.
  static Floats numbers(const uint8_t* codes) {
    const Ints all = Ints::load(codes);
    const Ints halves = ((all & Ints::of(0x1f)) << 7) | ((all & Ints::of(0x20)) << 10);
    return half_bits_to_floats(halves) * Floats::of(16384.0f);
  }
#endif
};

// out[i] = value(number of codes[i]); `value` takes a float, or lanes of them.
template <typename Bytes, typename Type, typename Value>
inline void decode_bytes(const uint8_t* codes, uint64_t count, Value value,
                         typename Type::Stored* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  i = for_each_line<Type>(
      count, [&](uint64_t at) { return value(Bytes::numbers(codes + at)); },
      [&](uint64_t at, Line line) { store(out + at, line); });
#endif
  for (; i < count; ++i) Type::store(out, i, value(Bytes::number(codes[i])));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
