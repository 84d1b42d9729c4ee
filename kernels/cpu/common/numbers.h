// Arrays of weights in the dtypes that weights come in, as kernels read and write them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/common/float_formats.h"

namespace precis::kernels {

// Dtype of a weight handed to a kernel.
enum class WeightType { f32, f16, bf16 };

inline namespace PRECIS_ISA {

// Rounding to the nearest integer, ties to even, for |value| < 2^22: the sum leaves no fraction
// bits.
inline float round_to_even(float value) {
  return (value + 12582912.0f) - 12582912.0f;
}

// Toward zero. What int32 cannot hold becomes its smallest number: a cast does that on x86, where
// the libraries' own files are written, and gives the nearest number on Arm.
inline int32_t truncate(float value) {
  return value >= -0x1p31f && value < 0x1p31f ? static_cast<int32_t>(value) : INT32_MIN;
}

struct F32 {
  using Stored = float;
  static float load(const Stored* data, uint64_t i) { return data[i]; }
  static void store(Stored* data, uint64_t i, float value) { data[i] = value; }
  static float round(float value) { return value; }
};
struct F16 {
  using Stored = uint16_t;
#if defined(PRECIS_NEON) || \
    (defined(__F16C__) && !(defined(__clang_major__) && __clang_major__ < 15))
#if defined(PRECIS_NEON)
  using Half = __fp16;
#else
  using Half = _Float16;  // clang 14 has it for AVX512-FP16 alone
#endif
  static float load(const Stored* data, uint64_t i) {
    Half half;
    std::memcpy(&half, data + i, sizeof half);
    return static_cast<float>(half);
  }
  static void store(Stored* data, uint64_t i, float value) {
    const auto half = static_cast<Half>(value);
    std::memcpy(data + i, &half, sizeof half);
  }
  // Through the bits: a compiler that computes halves in excess precision drops a mere pair of
  // casts.
  static float round(float value) {
    const auto bits = std::bit_cast<uint16_t>(static_cast<Half>(value));
    return static_cast<float>(std::bit_cast<Half>(bits));
  }
#else
  static float load(const Stored* data, uint64_t i) {
    return half_to_float(data[i]);
  }
  static void store(Stored* data, uint64_t i, float value) {
    data[i] = float_to_half(value);
  }
  static float round(float value) {
    return half_to_float(float_to_half(value));
  }
#endif
};
struct BF16 {
  using Stored = uint16_t;
  static float load(const Stored* data, uint64_t i) { return bfloat16_to_float(data[i]); }
  static void store(Stored* data, uint64_t i, float value) { data[i] = float_to_bfloat16(value); }
  static float round(float value) { return bfloat16_to_float(float_to_bfloat16(value)); }
};

// Calls body(F32{}), body(F16{}) or body(BF16{}).
template <typename Body>
void with_type(WeightType type, Body&& body) {
  switch (type) {
    case WeightType::f32:
      return body(F32{});
    case WeightType::f16:
      return body(F16{});
    case WeightType::bf16:
      return body(BF16{});
  }
}

// The same for two types at once.
template <typename Body>
void with_types(WeightType first, WeightType second, Body&& body) {
  with_type(first, [&](auto a) { with_type(second, [&](auto b) { body(a, b); }); });
}

// The bits of a number without NaN as an integer of the same order, and back. Compilers keep the
// order of operations of float minimums, one after another; integers they take many at once.
inline int32_t order_of(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits ^ (bits >> 31 & 0x7fffffff);
}
inline float number_at(int32_t order) {
  return std::bit_cast<float>(order ^ (order >> 31 & 0x7fffffff));
}

// The largest |value|; a NaN among the values wins, as torch's amax has it.
template <typename Type>
inline float absmax_of(const typename Type::Stored* data, uint64_t begin, uint64_t end) {
  // The order of magnitudes is the order of their bits, and NaN lies above infinity.
  int32_t best = 0;
  for (uint64_t i = begin; i < end; ++i) {
    const int32_t bits = std::bit_cast<int32_t>(Type::load(data, i)) & 0x7fffffff;
    best = bits > best ? bits : best;
  }
  return std::bit_cast<float>(best);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
