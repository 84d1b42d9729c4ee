// Rows of numbers of one byte, turned into float32 or a narrower dtype by a formula.
#pragma once

#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// What a byte stands for.
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
#endif
};
struct Float8E5M2 {
  static float number(uint8_t code) { return float8_e5m2_to_float(code); }
#if PRECIS_LANES > 1
  static Floats numbers(const uint8_t* codes) {
    return half_bits_to_floats(Ints::load(codes) << 8);
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
