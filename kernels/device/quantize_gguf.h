// Encoding to GGUF's blocks of 32, bit for bit as kernels/cpu/gguf without an importance matrix.
#pragma once

#include "kernels/device/gguf_search.h"

namespace precis::kernels::PRECIS_DEVICE {

PRECIS_FUNCTION void store_half_bits(uint8_t* at, float value) {
  *reinterpret_cast<uint16_t*>(at) = half_bits(value);
}

// A block of 32: each lane of a warp has one element. All magnitudes that are no NaN count.
struct EncodeQ8_0 {
  static constexpr uint32_t kBytes = 34;
  static PRECIS_FUNCTION void encode(float x, uint8_t* block) {
    const float magnitude = magnitude_of(x);
    const float largest = warp_max(magnitude > 0 ? magnitude : 0.0f);
    const float d = largest / 127.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
    // Half away from zero. A block of subnormals makes the inverse infinite, whose codes are 0.
    const float scaled = x * inverse, wide = magnitude_of(scaled);
    const float bounded = wide < 128.0f ? wide : 0.0f;
    int whole = static_cast<int>(bounded);
    whole += bounded - static_cast<float>(whole) >= 0.5f ? 1 : 0;
    if (lane() == 0) store_half_bits(block, d);
    block[2 + lane()] = static_cast<uint8_t>(static_cast<int8_t>(scaled < 0 ? -whole : whole));
  }
};

// The number of the first lane whose element is as `equal` says.
PRECIS_FUNCTION float first_of_lanes(float x, bool equal) {
  const int first = kWarp - 1 - warp_max(equal ? kWarp - 1 - lane() : -1);
  return bits_as<float>(warp_max(lane() == first ? bits_as<uint32_t>(x) : 0u));
}

// Behind `at`: the fifth bits where there are any, then nibbles, of an element and of the one 16
// behind it.
template <bool Five>
PRECIS_FUNCTION void store_levels(uint8_t* at, uint32_t level) {
  const uint32_t nibble = level & 15u, other = shuffle_xor(nibble, 16);
  if constexpr (Five) {
    const uint32_t high = warp_sum((level >> 4 & 1u) << lane());
    if (lane() < 2)
      *reinterpret_cast<uint16_t*>(at + 2 * lane()) = static_cast<uint16_t>(high >> (16 * lane()));
  }
  if (lane() < 16) at[(Five ? 4 : 0) + lane()] = static_cast<uint8_t>(nibble | other << 4);
}
// Of a level with its fraction; 0 beyond what a byte holds.
PRECIS_FUNCTION uint32_t bounded_level(float level, int top) {
  const int whole = magnitude_of(level) < 128.0f ? static_cast<int>(level) : 0;
  return static_cast<uint32_t>(whole < top ? whole : top);
}

// Q4_0 and Q5_0: the value of largest magnitude, the first of equals, decides.
template <int Half>
struct EncodeSymmetric {
  static constexpr bool kFive = Half == 16;
  static constexpr uint32_t kBytes = kFive ? 22 : 18;
  static PRECIS_FUNCTION void encode(float x, uint8_t* block) {
    const float magnitude = magnitude_of(x) > 0 ? magnitude_of(x) : 0.0f;
    const float largest = warp_max(magnitude);
    const float found = first_of_lanes(x, magnitude == largest && largest > 0);
    const float d = (largest > 0 ? found : 0.0f) / -static_cast<float>(Half);
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    if (lane() == 0) store_half_bits(block, d);
    store_levels<kFive>(
        block + 2, bounded_level(x * inverse + (static_cast<float>(Half) + 0.5f), 2 * Half - 1));
  }
};

// Q4_1 and Q5_1: from the smallest value to the largest, the first of equals.
template <int Top>
struct EncodeAffine {
  static constexpr bool kFive = Top == 31;
  static constexpr uint32_t kBytes = kFive ? 24 : 20;
  static PRECIS_FUNCTION void encode(float x, uint8_t* block) {
    const float low = first_of_lanes(x, x == -warp_max(-x));
    const float high = first_of_lanes(x, x == warp_max(x));
    const float d = (high - low) / static_cast<float>(Top);
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    if (lane() == 0) {
      store_half_bits(block, d);
      store_half_bits(block + 2, low);
    }
    // Q5_1 does not clamp: no value is above 31.
    store_levels<kFive>(block + 4, bounded_level((x - low) * inverse + 0.5f, kFive ? 127 : Top));
  }
};

// The exponent of 2 of a number above 0. The logarithm is rounded to float32 before it is rounded
// down, as ggml has it: so little below 2^k counts as 2^k.
PRECIS_FUNCTION int rounded_exponent(float number) {
  const bool subnormal = number < 0x1p-126f;
  const uint32_t bits = bits_as<uint32_t>(subnormal ? number * 0x1p24f : number);
  const int above = static_cast<int>(bits >> 23) - 126 - (subnormal ? 24 : 0);
  const uint32_t distance = 0x800000u - (bits & 0x7fffffu);  // to 2^above, in 2^(above - 24)
  // Half the distance from k to the float32 before it is 2^(j - 24), j the exponent of what lies
  // between them.
  const uint32_t magnitude = static_cast<uint32_t>(above > 0 ? above - 1 : -above);
  uint32_t as_two = magnitude >= 2 ? 1 : 0;  // ln 2 * 2^j
  as_two = magnitude >= 4 ? 2 : as_two;
  as_two = magnitude >= 8 ? 5 : as_two;
  as_two = magnitude >= 16 ? 11 : as_two;
  as_two = magnitude >= 32 ? 22 : as_two;
  as_two = magnitude >= 64 ? 44 : as_two;
  as_two = magnitude >= 128 ? 88 : as_two;
  return distance <= as_two ? above : above - 1;
}

// The nearest of E2M1's doubled numbers times d, the first of equals.
PRECIS_FUNCTION uint32_t nearest_fp4(float x, float d) {
  constexpr float kMagnitudes[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  uint32_t code = 0;
  float error = magnitude_of(0.0f * d - x);
  PRECIS_UNROLL
  for (uint32_t i = 1; i < 16; ++i) {
    const float number = i < 8 ? kMagnitudes[i] : -kMagnitudes[i - 8];
    const float candidate = magnitude_of(number * d - x);
    code = candidate < error ? i : code;
    error = candidate < error ? candidate : error;
  }
  return code;
}

struct EncodeMxfp4 {
  static constexpr uint32_t kBytes = 17;
  static PRECIS_FUNCTION void encode(float x, uint8_t* block) {
    const float largest = warp_max(magnitude_of(x) > 0 ? magnitude_of(x) : 0.0f);
    const uint32_t exponent =
        largest > 0 ? static_cast<uint32_t>(rounded_exponent(largest) + 125) & 0xffu : 0u;
    // Half of the scale, since the numbers are doubled.
    const float d = bits_as<float>(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
    if (lane() == 0) block[0] = static_cast<uint8_t>(exponent);
    store_levels<false>(block + 1, nearest_fp4(x, d));
  }
};

// Bound by memory.
template <class Encoder, class Element>
__global__ void __launch_bounds__(kGgufThreads)
    quantize_gguf_kernel(const Element* weight, uint64_t count, uint8_t* blocks) {
  const uint64_t block =
      uint64_t{blockIdx.x} * (kGgufThreads / kWarp) + static_cast<unsigned>(warp());
  if (block >= count) return;
  Encoder::encode(to_float(weight[block * 32 + static_cast<unsigned>(lane())]),
                  blocks + block * Encoder::kBytes);
}

template <class Encoder, class Element>
const char* launch_quantize_gguf(const Element* weight, uint64_t count, uint8_t* blocks,
                                 void* stream) {
  constexpr unsigned kBlocks = kGgufThreads / kWarp;
  return PRECIS_LAUNCH((quantize_gguf_kernel<Encoder, Element>),
                       dim3(static_cast<unsigned>((count + kBlocks - 1) / kBlocks)),
                       dim3(kGgufThreads), 0, stream, weight, count, blocks);
}

// Half and bfloat16 as such. A NaN of bfloat16 keeps its upper bits and is quiet.
template <class To, class Element>
__global__ void __launch_bounds__(kGgufThreads)
    convert_gguf_kernel(const Element* weight, uint64_t count, uint16_t* out) {
  const uint64_t i = uint64_t{blockIdx.x} * kGgufThreads + threadIdx.x;
  if (i >= count) return;
  const float value = to_float(weight[i]);
  const uint32_t bits = bits_as<uint32_t>(value);
  const bool nan = std::is_same_v<To, BFloat16> && (bits & 0x7fffffffu) > 0x7f800000u;
  out[i] = nan ? static_cast<uint16_t>(bits >> 16 | 64u) : from_float<To>(value).bits;
}

template <class To, class Element>
const char* launch_convert_gguf(const Element* weight, uint64_t count, uint8_t* out, void* stream) {
  return PRECIS_LAUNCH((convert_gguf_kernel<To, Element>),
                       dim3(static_cast<unsigned>((count + kGgufThreads - 1) / kGgufThreads)),
                       dim3(kGgufThreads), 0, stream, weight, count,
                       reinterpret_cast<uint16_t*>(out));
}

}  // namespace precis::kernels::PRECIS_DEVICE
