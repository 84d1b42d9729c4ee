// Encoding to GGUF's blocks of 32, bit for bit as kernels/cpu/gguf without an importance matrix.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGgufThreads = 256;

PRECIS_FUNCTION float magnitude_of(float value) {
  return bits_as<float>(bits_as<uint32_t>(value) & 0x7fffffffu);
}
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

// The value of largest magnitude, the first of equals, decides.
struct EncodeQ4_0 {
  static constexpr uint32_t kBytes = 18;
  static PRECIS_FUNCTION void encode(float x, uint8_t* block) {
    const float magnitude = magnitude_of(x) > 0 ? magnitude_of(x) : 0.0f;
    const float largest = warp_max(magnitude);
    const bool equal = magnitude == largest && largest > 0;
    const int first = kWarp - 1 - warp_max(equal ? kWarp - 1 - lane() : -1);
    const uint32_t bits = warp_max(lane() == first ? bits_as<uint32_t>(x) : 0u);
    const float d = bits_as<float>(largest > 0 ? bits : 0u) / -8.0f;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    const float scaled = x * inverse + 8.5f;
    const int level = magnitude_of(scaled) < 128.0f ? static_cast<int>(scaled) : 0;
    const uint32_t mine = static_cast<uint32_t>(level < 15 ? level : 15) & 15u;
    const uint32_t other = shuffle_xor(mine, 16);
    if (lane() == 0) store_half_bits(block, d);
    if (lane() < 16) block[2 + lane()] = static_cast<uint8_t>(mine | other << 4);
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

}  // namespace precis::kernels::PRECIS_DEVICE
