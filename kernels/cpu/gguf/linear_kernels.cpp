// Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"

#include "kernels/cpu/gguf/block_io.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GgufWeight*>(format);
  const GgufCodec& codec = *weight.codec;
  const uint8_t* blocks =
      weight.blocks + row * weight.row_bytes + begin / codec.block_size * codec.block_bytes;
  const uint64_t count = (end - begin) / codec.block_size;
  if (weight.out_type == WeightType::f32)
    return codec.dequantize(blocks, count, static_cast<float*>(out));
  float strip[kStrip];
  codec.dequantize(blocks, count, strip);
  for (uint64_t i = 0; i < end - begin; ++i) BF16::store(static_cast<uint16_t*>(out), i, strip[i]);
}

// A type: kSize columns in kBytes bytes, kBlock columns a scale, and a decoder of one block.
struct Q40 {
  static constexpr uint64_t kSize = 32, kBytes = 18, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 16; ++i) {
      codes[i] = block[2 + i] & 15;
      codes[16 + i] = block[2 + i] >> 4;
    }
  }
};
struct Q41 {
  static constexpr uint64_t kSize = 32, kBytes = 20, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = load_half(block);
    minimums[0] = load_half(block + 2);
    for (int i = 0; i < 16; ++i) {
      codes[i] = block[4 + i] & 15;
      codes[16 + i] = block[4 + i] >> 4;
    }
  }
};

// Adds the fifth bits of 32 codes.
inline void add_fifth_bits(uint32_t bits, uint8_t* codes) {
  for (int byte = 0; byte < 4; ++byte) {
    for (int i = 0; i < 8; ++i) {
      const auto bit = static_cast<uint8_t>((bits >> (8 * byte + i) & 1) << 4);
      codes[8 * byte + i] = static_cast<uint8_t>(codes[8 * byte + i] | bit);
    }
  }
}

struct Q50 {
  static constexpr uint64_t kSize = 32, kBytes = 22, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 16; ++i) {
      codes[i] = block[6 + i] & 15;
      codes[16 + i] = block[6 + i] >> 4;
    }
    add_fifth_bits(load_u32(block + 2), codes);
  }
};
struct Q51 {
  static constexpr uint64_t kSize = 32, kBytes = 24, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = load_half(block);
    minimums[0] = load_half(block + 2);
    for (int i = 0; i < 16; ++i) {
      codes[i] = block[8 + i] & 15;
      codes[16 + i] = block[8 + i] >> 4;
    }
    add_fifth_bits(load_u32(block + 4), codes);
  }
};
struct Q80 {
  static constexpr uint64_t kSize = 32, kBytes = 34, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = load_half(block);
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(block[2 + i] ^ 0x80u);
  }
};

// The scales and minimums of Q4_K and Q5_K.
inline void decode_k_scales(const uint8_t* block, float* scales, float* minimums) {
  const float d = load_half(block), dmin = load_half(block + 2);
  for (int group = 0; group < 8; ++group) {
    uint8_t scale = 0, minimum = 0;
    unpack_scale_min(group, block + 4, scale, minimum);
    scales[group] = d * static_cast<float>(scale);
    minimums[group] = -(dmin * static_cast<float>(minimum));
  }
}

struct Q4K {
  static constexpr uint64_t kSize = 256, kBytes = 144, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    decode_k_scales(block, scales, minimums);
    for (int pair = 0; pair < 4; ++pair) {
      for (int i = 0; i < 32; ++i) {
        const uint8_t q = block[16 + 32 * pair + i];
        codes[64 * pair + i] = q & 15;
        codes[64 * pair + 32 + i] = q >> 4;
      }
    }
  }
};
struct Q5K {
  static constexpr uint64_t kSize = 256, kBytes = 176, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    decode_k_scales(block, scales, minimums);
    const uint8_t* high = block + 16;
    for (int pair = 0; pair < 4; ++pair) {
      for (int i = 0; i < 32; ++i) {
        const uint32_t q = block[48 + 32 * pair + i], bits = static_cast<uint32_t>(high[i]);
        codes[64 * pair + i] = static_cast<uint8_t>((q & 15) | (bits >> (2 * pair) & 1) << 4);
        codes[64 * pair + 32 + i] =
            static_cast<uint8_t>((q >> 4) | (bits >> (2 * pair + 1) & 1) << 4);
      }
    }
  }
};
struct Q6K {
  static constexpr uint64_t kSize = 256, kBytes = 210, kBlock = 16;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = load_half(block + 208);
    for (int group = 0; group < 16; ++group)
      scales[group] = d * static_cast<float>(static_cast<int8_t>(block[192 + group]));
    for (int half = 0; half < 2; ++half) {
      const uint8_t *low = block + 64 * half, *high = block + 128 + 32 * half;
      uint8_t* out = codes + 128 * half;
      for (int i = 0; i < 32; ++i) {
        const uint32_t bits = high[i];
        out[i] = static_cast<uint8_t>((low[i] & 15u) | (bits & 3) << 4);
        out[32 + i] = static_cast<uint8_t>((low[32 + i] & 15u) | (bits >> 2 & 3) << 4);
        out[64 + i] = static_cast<uint8_t>((low[i] >> 4) | (bits >> 4 & 3) << 4);
        out[96 + i] = static_cast<uint8_t>((low[32 + i] >> 4) | (bits >> 6) << 4);
      }
    }
  }
};

template <typename Type>
void decode_codes(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint8_t* codes,
                  float* scales, float* minimums) {
  const auto& weight = *static_cast<const GgufWeight*>(format);
  const uint8_t* block =
      weight.blocks + row * weight.row_bytes + begin / Type::kSize * Type::kBytes;
  for (uint64_t i = begin; i < end; i += Type::kSize) {
    Type::decode(block, codes, scales, minimums);
    block += Type::kBytes;
    codes += Type::kSize;
    scales += Type::kSize / Type::kBlock;
    minimums += Type::kSize / Type::kBlock;
  }
}

constexpr GgufIntegerType kIntegerTypes[] = {
    {"q4_0", 32, 8, false, decode_codes<Q40>},   {"q4_1", 32, 0, true, decode_codes<Q41>},
    {"q5_0", 32, 16, false, decode_codes<Q50>},  {"q5_1", 32, 0, true, decode_codes<Q51>},
    {"q8_0", 32, 128, false, decode_codes<Q80>}, {"q4_k", 32, 0, true, decode_codes<Q4K>},
    {"q5_k", 32, 0, true, decode_codes<Q5K>},    {"q6_k", 16, 32, false, decode_codes<Q6K>}};

}  // namespace

const GgufLinearKernels& gguf_linear_kernels() {
  static constexpr GgufLinearKernels kernels{decode_floats, kIntegerTypes,
                                             std::size(kIntegerTypes)};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
