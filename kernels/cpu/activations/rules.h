// How integers are found for activations; of one instruction set.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace activations {

// out[i] = value(x[i]); `value` takes a float, or lanes of them.
template <typename Type, typename Out, typename Value>
void convert(const typename Type::Stored* x, uint64_t count, Value value,
             typename Out::Stored* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  i = for_each_line<Out>(
      count, [&](uint64_t at) { return value(load_numbers<Type>(x + at)); },
      [&](uint64_t at, Line line) { store(out + at, line); });
#endif
  for (; i < count; ++i) Out::store(out, i, value(Type::load(x, i)));
}

inline float clamp(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

// Within what round_to_even takes; beyond every code.
inline float bounded(float value) {
  return clamp(value, -65536.0f, 65536.0f);
}

struct Range {
  float low = 0, high = 0;
  float largest() const { return std::max(-low, high); }
};

// Of finite numbers; 0 counts.
template <typename Type>
Range range_of(const typename Type::Stored* x, uint64_t count) {
  int32_t low = 0, high = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const int32_t order = order_of(Type::load(x, i));
    low = order < low ? order : low;
    high = order > high ? order : high;
  }
  return {number_at(low), number_at(high)};
}

struct Affine {
  float scale, zero;
};

// finfo(dtype).eps.
template <typename Type>
float epsilon() {
  if (std::is_same_v<Type, F32>) return 0x1p-23f;
  return std::is_same_v<Type, F16> ? 0x1p-10f : 0x1p-7f;
}

template <typename Type>
Affine integer_affine(const ActivationRounding& rounding, Range range) {
  const auto low = static_cast<float>(rounding.low), high = static_cast<float>(rounding.high);
  const bool torchao = rounding.rule != ActivationRule::compressed_integer;
  float scale = rounding.symmetric
                    ? Type::round(range.largest() / rounding.divisor)
                    : Type::round(Type::round(range.high - range.low) / (high - low));
  if (rounding.rule == ActivationRule::torchao_integer)
    scale = std::max(scale, Type::round(0x1p-23f));
  else if (torchao)
    scale = std::max(scale, std::is_same_v<Type, F16> ? 0x1p-14f : 0x1p-126f);
  else if (scale == 0)
    scale = epsilon<Type>();
  if (rounding.symmetric) return {scale, 0};
  const float quotient = Type::round(range.low / scale);
  const float zero = Type::round(low - (torchao ? round_to_even(bounded(quotient)) : quotient));
  return {scale, round_to_even(clamp(zero, low, high))};
}

template <typename Type>
bool all_finite(const typename Type::Stored* x, uint64_t count) {
  return absmax_of<Type>(x, 0, count) <= std::numeric_limits<float>::max();
}

#if PRECIS_LANES > 1
// Of numbers without a NaN.
inline Floats clamp(Floats value, float low, float high) {
  return max(min(value, Floats::of(high)), Floats::of(low));
}
inline Floats bounded(Floats value) {
  return clamp(value, -65536.0f, 65536.0f);
}
#endif

// The code of a number, or of lanes of them, its zero point taken off, for the rules of integers.
template <typename Type, typename Value>
Value centred_code(const ActivationRounding& rounding, const Affine& affine, float inverse,
                   Value value) {
  const auto low = static_cast<float>(rounding.low), high = static_cast<float>(rounding.high);
  const Value zero = all_of<Value>(affine.zero), factor = all_of<Value>(inverse);
  if (rounding.rule == ActivationRule::torchao_integer)
    return clamp(round_to_even(bounded(value * factor)) + zero, low, high) - zero;
  if (rounding.rule == ActivationRule::torchao_fake_integer) {
    const Value nearest = round_to_even(bounded(round_as<Type>(value * factor)));
    return round_as<Type>(clamp(round_as<Type>(nearest + zero), low, high) - zero);
  }
  const Value quotient = round_as<Type>(value / all_of<Value>(affine.scale));
  const Value moved = round_as<Type>(quotient + zero);
  return round_as<Type>(round_to_even(clamp(moved, low, high)) - zero);
}

// The centred codes of `count` numbers, which 8 bits hold; returns their sum.
template <typename Type>
int32_t encode_codes(const ActivationRounding& rounding, const Affine& affine, float inverse,
                     const float* values, uint64_t count, int8_t* codes) {
  int32_t sum = 0;
  uint64_t i = 0;
#if PRECIS_LANES > 1
  Ints sums = Ints::of(0);
  for (; i + kLanes <= count; i += kLanes) {
    const Ints code =
        truncate(centred_code<Type>(rounding, affine, inverse, Floats::load(values + i)));
    store_bytes(reinterpret_cast<uint8_t*>(codes + i), code);
    sums = sums + code;
  }
  sum = sum_of(sums);
#endif
  for (; i < count; ++i) {
    const float code = centred_code<Type>(rounding, affine, inverse, values[i]);
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(code));
    sum += codes[i];
  }
  return sum;
}

// What centred_code takes as `inverse`.
template <typename Type>
float inverse_of(const ActivationRounding& rounding, const Affine& affine) {
  const float inverse = 1.0f / affine.scale;
  return rounding.rule == ActivationRule::torchao_fake_integer ? Type::round(inverse) : inverse;
}

}  // namespace activations
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
