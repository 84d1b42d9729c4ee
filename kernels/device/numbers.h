// Numbers as device memory holds them. Their conversions give the bits of
// kernels/cpu/common/float_formats.h on every device; of NaNs only that they are NaNs is kept.
#pragma once

#include <type_traits>

#include "kernels/device/runtime.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

PRECIS_FUNCTION float to_float(float value) {
  return value;
}
PRECIS_FUNCTION float to_float(Half value) {
  return half_value(value.bits);
}
PRECIS_FUNCTION float to_float(BFloat16 value) {
  return bits_as<float>(static_cast<uint32_t>(value.bits) << 16);
}

template <class T>
PRECIS_FUNCTION T from_float(float value);
template <>
PRECIS_FUNCTION float from_float<float>(float value) {
  return value;
}
template <>
PRECIS_FUNCTION Half from_float<Half>(float value) {
  return Half{half_bits(value)};
}
template <>
PRECIS_FUNCTION BFloat16 from_float<BFloat16>(float value) {
  return BFloat16{bfloat16_bits(value)};
}

// The narrow type that a value is rounded to before it is used.
enum class Rounding : uint32_t { none, half, bfloat16 };

template <class Element>
inline constexpr Rounding kRoundingTo = std::is_same_v<Element, Half>       ? Rounding::half
                                        : std::is_same_v<Element, BFloat16> ? Rounding::bfloat16
                                                                            : Rounding::none;

PRECIS_FUNCTION float round_to(Rounding rounding, float value) {
  if (rounding == Rounding::half) return half_value(half_bits(value));
  if (rounding == Rounding::bfloat16) return to_float(from_float<BFloat16>(value));
  return value;
}

// Eight values to the same type: one branch for all.
PRECIS_FUNCTION void round_all(Rounding rounding, float (&values)[8]) {
  if (rounding == Rounding::none) return;
  if (rounding == Rounding::half) {
    PRECIS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = half_value(half_bits(values[i]));
  } else {
    PRECIS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = to_float(from_float<BFloat16>(values[i]));
  }
}

// Two neighbours as one word, the first in the low half.
template <class T>
PRECIS_FUNCTION uint32_t pack(float first, float second) {
  if constexpr (std::is_same_v<T, Half>)
    return pack_half(first, second);
  else
    return pack_bfloat16(first, second);
}

// The two numbers of a word, the first from the low half. bfloat16's take one instruction each.
template <class T>
PRECIS_FUNCTION void unpack(uint32_t word, float& first, float& second) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    first = bits_as<float>(word << 16);
    second = bits_as<float>(word & 0xffff0000u);
  } else {
    first = half_value(static_cast<uint16_t>(word));
    second = half_value(static_cast<uint16_t>(word >> 16));
  }
}

// Eight neighbours, from memory aligned to 16 bytes.
template <class T>
PRECIS_FUNCTION void load_8(const T* from, float (&values)[8]) {
  if constexpr (sizeof(T) == 2) {
    const auto vector = load_vector<Words4>(from);
    PRECIS_UNROLL
    for (int i = 0; i < 4; ++i) unpack<T>(vector.words[i], values[2 * i], values[2 * i + 1]);
  } else {
    PRECIS_UNROLL
    for (int i = 0; i < 2; ++i) {
      const auto vector = load_vector<Words4>(from + 4 * i);
      PRECIS_UNROLL
      for (int j = 0; j < 4; ++j) values[4 * i + j] = bits_as<float>(vector.words[j]);
    }
  }
}

// Two neighbours, from memory aligned to both.
template <class T>
PRECIS_FUNCTION void load_2(const T* from, float (&values)[2]) {
  using Vector = std::conditional_t<sizeof(T) == 2, uint32_t, Words2>;
  const auto vector = load_vector<Vector>(from);
  T elements[2];
  memcpy(elements, &vector, sizeof vector);
  values[0] = to_float(elements[0]);
  values[1] = to_float(elements[1]);
}

template <class T>
PRECIS_FUNCTION Words4 pack_8(const float (&values)[8]) {
  return Words4{{pack<T>(values[0], values[1]), pack<T>(values[2], values[3]),
                 pack<T>(values[4], values[5]), pack<T>(values[6], values[7])}};
}

template <class T>
PRECIS_FUNCTION void store_8(T* to, const float (&values)[8]) {
  if constexpr (sizeof(T) == 2) {
    store_vector(to, pack_8<T>(values));
  } else {
    for (int i = 0; i < 2; ++i)
      store_vector(
          to + 4 * i,
          Words4{{bits_as<uint32_t>(values[4 * i]), bits_as<uint32_t>(values[4 * i + 1]),
                  bits_as<uint32_t>(values[4 * i + 2]), bits_as<uint32_t>(values[4 * i + 3])}});
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
