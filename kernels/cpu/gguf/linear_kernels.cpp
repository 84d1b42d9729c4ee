// Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"

#include "kernels/cpu/gguf/block_io.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// A float16 field, converted by the machine where it can.
inline float half_at(const uint8_t* at) {
  const uint16_t bits = load_u16(at);
  return F16::load(&bits, 0);
}

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

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint8_t Bytes32 __attribute__((vector_size(32)));
template <typename Bytes>
inline void get(const uint8_t* from, Bytes& bytes) {
  std::memcpy(&bytes, from, sizeof bytes);
}
template <typename Bytes>
inline void put(const Bytes& bytes, uint8_t* to) {
  std::memcpy(to, &bytes, sizeof bytes);
}

// Low nibbles, then the high ones.
template <typename Bytes>
inline void split_nibbles(const uint8_t* packed, uint8_t* codes) {
  Bytes bytes;
  get(packed, bytes);
  put<Bytes>(bytes & 15, codes);
  put<Bytes>(bytes >> 4, codes + sizeof bytes);
}

// A type: kSize columns in kBytes bytes, kBlock columns a scale, and a decoder
// of one block.
struct Q40 {
  static constexpr uint64_t kSize = 32, kBytes = 18, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = half_at(block);
    split_nibbles<Bytes16>(block + 2, codes);
  }
};
struct Q41 {
  static constexpr uint64_t kSize = 32, kBytes = 20, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = half_at(block);
    minimums[0] = half_at(block + 2);
    split_nibbles<Bytes16>(block + 4, codes);
  }
};

// Adds the fifth bits of 32 codes: every byte looks at its own bit.
inline void add_fifth_bits(uint32_t bits, uint8_t* codes) {
  const Bytes32 own{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                    1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  Bytes32 spread;
  for (int i = 0; i < 32; ++i) spread[i] = static_cast<uint8_t>(bits >> (i / 8 * 8));
  const Bytes32 set = Bytes32((spread & own) != 0) & 16;
  Bytes32 old;
  get(codes, old);
  put<Bytes32>(old | set, codes);
}

struct Q50 {
  static constexpr uint64_t kSize = 32, kBytes = 22, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = half_at(block);
    split_nibbles<Bytes16>(block + 6, codes);
    add_fifth_bits(load_u32(block + 2), codes);
  }
};
struct Q51 {
  static constexpr uint64_t kSize = 32, kBytes = 24, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = half_at(block);
    minimums[0] = half_at(block + 2);
    split_nibbles<Bytes16>(block + 8, codes);
    add_fifth_bits(load_u32(block + 4), codes);
  }
};
struct Q80 {
  static constexpr uint64_t kSize = 32, kBytes = 34, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = half_at(block);
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(block[2 + i] ^ 0x80u);
  }
};

// The scales and minimums of Q4_K and Q5_K.
inline void decode_k_scales(const uint8_t* block, float* scales, float* minimums) {
  const float d = half_at(block), dmin = half_at(block + 2);
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
    for (int pair = 0; pair < 4; ++pair)
      split_nibbles<Bytes32>(block + 16 + 32 * pair, codes + 64 * pair);
  }
};
struct Q5K {
  static constexpr uint64_t kSize = 256, kBytes = 176, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    decode_k_scales(block, scales, minimums);
    Bytes32 high;
    get(block + 16, high);
    for (int pair = 0; pair < 4; ++pair) {
      Bytes32 q;
      get(block + 48 + 32 * pair, q);
      const Bytes32 bits = high >> static_cast<uint8_t>(2 * pair);
      put<Bytes32>((q & 15) | (bits & 1) << 4, codes + 64 * pair);
      put<Bytes32>((q >> 4) | (bits & 2) << 3, codes + 64 * pair + 32);
    }
  }
};
struct Q6K {
  static constexpr uint64_t kSize = 256, kBytes = 210, kBlock = 16;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = half_at(block + 208);
    for (int group = 0; group < 16; ++group)
      scales[group] = d * static_cast<float>(static_cast<int8_t>(block[192 + group]));
    for (int half = 0; half < 2; ++half) {
      Bytes32 low;
      get(block + 64 * half, low);
      Bytes32 next;
      get(block + 64 * half + 32, next);
      Bytes32 high;
      get(block + 128 + 32 * half, high);
      uint8_t* out = codes + 128 * half;
      put<Bytes32>((low & 15) | (high & 3) << 4, out);
      put<Bytes32>((next & 15) | (high & 12) << 2, out + 32);
      put<Bytes32>((low >> 4) | (high & 48), out + 64);
      put<Bytes32>((next >> 4) | (high & 192) >> 2, out + 96);
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
