// The K types as integer_blocks.h has the others.
#pragma once

#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/integer_blocks.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace integers {

// out[i] = factor * codes[i], of 16 codes of a byte.
template <typename Code>
inline void scale_bytes(const Code* codes, float factor, float* out) {
#if PRECIS_LANES > 1
  for (int i = 0; i < 16; i += kLanes)
    (to_floats(Ints::load(codes + i)) * Floats::of(factor)).store(out + i);
#else
  for (int i = 0; i < 16; ++i) out[i] = factor * static_cast<float>(codes[i]);
#endif
}

// The scales and minimums of Q4_K and Q5_K.
inline void decode_k_scales(const uint8_t* block, float* scales, float* minimums) {
  const SubBlockScales loaded = load_sub_block_scales(block);
  for (int group = 0; group < 8; ++group) {
    scales[group] = loaded.scale[group];
    minimums[group] = -loaded.minimum[group];
  }
}

struct Q4K {
  static constexpr uint64_t kSize = 256, kBytes = 144, kBlock = 32;
  static constexpr int32_t kOffset = 0;
  static constexpr bool kMinimums = true;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    decode_k_scales(block, scales, minimums);
    for (int pair = 0; pair < 4; ++pair)
      split_nibbles<Bytes32>(block + 16 + 32 * pair, codes + 64 * pair);
  }
};
struct Q5K {
  static constexpr uint64_t kSize = 256, kBytes = 176, kBlock = 32;
  static constexpr int32_t kOffset = 0;
  static constexpr bool kMinimums = true;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    decode_k_scales(block, scales, minimums);
    Bytes32 high;
    read_bytes(block + 16, high);
    for (int pair = 0; pair < 4; ++pair) {
      Bytes32 q;
      read_bytes(block + 48 + 32 * pair, q);
      const Bytes32 bits = high >> static_cast<uint8_t>(2 * pair);
      write_bytes<Bytes32>((q & 15) | (bits & 1) << 4, codes + 64 * pair);
      write_bytes<Bytes32>((q >> 4) | (bits & 2) << 3, codes + 64 * pair + 32);
    }
  }
};
struct Q6K {
  static constexpr uint64_t kSize = 256, kBytes = 210, kBlock = 16;
  static constexpr int32_t kOffset = 32;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = load_half(block + 208);
    scale_bytes(reinterpret_cast<const int8_t*>(block + 192), d, scales);
    for (int half = 0; half < 2; ++half) {
      Bytes32 low;
      read_bytes(block + 64 * half, low);
      Bytes32 next;
      read_bytes(block + 64 * half + 32, next);
      Bytes32 high;
      read_bytes(block + 128 + 32 * half, high);
      uint8_t* out = codes + 128 * half;
      write_bytes<Bytes32>((low & 15) | (high & 3) << 4, out);
      write_bytes<Bytes32>((next & 15) | (high & 12) << 2, out + 32);
      write_bytes<Bytes32>((low >> 4) | (high & 48), out + 64);
      write_bytes<Bytes32>((next >> 4) | (high & 192) >> 2, out + 96);
    }
  }
};

// d and dmin at the end, a 4-bit scale and minimum for each 16 columns, 2-bit codes in planes.
struct Q2K {
  static constexpr uint64_t kSize = 256, kBytes = 84, kBlock = 16;
  static constexpr int32_t kOffset = 0;
  static constexpr bool kMinimums = true;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    const float d = load_half(block + 80), dmin = load_half(block + 82);
    Bytes16 both;
    read_bytes(block, both);
    uint8_t low[16], high[16];
    write_bytes<Bytes16>(both & 15, low);
    write_bytes<Bytes16>(both >> 4, high);
    scale_bytes(low, d, scales);
    scale_bytes(high, -dmin, minimums);
    for (int half = 0; half < 2; ++half) {
      Bytes32 q;
      read_bytes(block + 16 + 32 * half, q);
      for (int plane = 0; plane < 4; ++plane)
        write_bytes<Bytes32>((q >> static_cast<uint8_t>(2 * plane)) & 3,
                             codes + 128 * half + 32 * plane);
    }
  }
};
// One scale at the end, 2-bit codes in planes.
struct Tq20 {
  static constexpr uint64_t kSize = 256, kBytes = 66, kBlock = 32;
  static constexpr int32_t kOffset = 1;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = load_half(block + 64);
    for (int unit = 0; unit < 8; ++unit) scales[unit] = d;
    for (int half = 0; half < 2; ++half) {
      Bytes32 q;
      read_bytes(block + 32 * half, q);
      for (int plane = 0; plane < 4; ++plane)
        write_bytes<Bytes32>((q >> static_cast<uint8_t>(2 * plane)) & 3,
                             codes + 128 * half + 32 * plane);
    }
  }
};
struct Q3K {
  static constexpr uint64_t kSize = 256, kBytes = 110, kBlock = 16;
  static constexpr int32_t kOffset = 4;
  static constexpr bool kMinimums = false;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = load_half(block + 108);
    // The low nibbles of 8 scales, then of 8 more above them, and the two high bits of all.
    const uint32_t first = load_u32(block + 96), second = load_u32(block + 100),
                   top = load_u32(block + 104);
    const auto word = [](uint32_t low, uint32_t two) {
      return (low & 0x0f0f0f0fu) | (two & 0x03030303u) << 4;
    };
    const uint32_t words[4] = {word(first, top), word(second, top >> 2), word(first >> 4, top >> 4),
                               word(second >> 4, top >> 6)};
    Bytes16 codes6;
    std::memcpy(&codes6, words, sizeof codes6);
    int8_t around0[16];
    write_bytes<Bytes16>(codes6 - 32, reinterpret_cast<uint8_t*>(around0));
    scale_bytes(around0, d, scales);
    Bytes32 high;
    read_bytes(block, high);
    for (int half = 0; half < 2; ++half) {
      Bytes32 q;
      read_bytes(block + 32 + 32 * half, q);
      for (int plane = 0; plane < 4; ++plane) {
        const Bytes32 low = (q >> static_cast<uint8_t>(2 * plane)) & 3;
        const Bytes32 bit = (high >> static_cast<uint8_t>(4 * half + plane)) & 1;
        write_bytes<Bytes32>(low | bit << 2, codes + 128 * half + 32 * plane);
      }
    }
  }
};

}  // namespace integers
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
