// Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/gguf/block_io.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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
  alignas(64) float strip[kStrip];
  codec.dequantize(blocks, count, strip);
  put<BF16>(strip, end - begin, static_cast<uint16_t*>(out), false);
}

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint8_t Bytes32 __attribute__((vector_size(32)));
template <typename Bytes>
inline void read_bytes(const uint8_t* from, Bytes& bytes) {
  std::memcpy(&bytes, from, sizeof bytes);
}
template <typename Bytes>
inline void write_bytes(const Bytes& bytes, uint8_t* to) {
  std::memcpy(to, &bytes, sizeof bytes);
}

// Low nibbles, then the high ones.
template <typename Bytes>
inline void split_nibbles(const uint8_t* packed, uint8_t* codes) {
  Bytes bytes;
  read_bytes(packed, bytes);
  write_bytes<Bytes>(bytes & 15, codes);
  write_bytes<Bytes>(bytes >> 4, codes + sizeof bytes);
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

// The fifth bits of 16 codes, each in its place.
inline Bytes16 fifth_bits(uint32_t bits) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return Bytes16(_mm_maskz_set1_epi8(static_cast<__mmask16>(bits), 16));
#else
  // Every byte looks at its own bit.
  const Bytes16 own{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  Bytes16 spread;
  for (int i = 0; i < 16; ++i) spread[i] = static_cast<uint8_t>(bits >> (i / 8 * 8));
  return Bytes16((spread & own) != 0) & 16;
#endif
}

// Low nibbles, then the high ones, each with its fifth bit.
inline void split_fives(const uint8_t* packed, uint32_t bits, uint8_t* codes) {
  Bytes16 bytes;
  read_bytes(packed, bytes);
  write_bytes<Bytes16>((bytes & 15) | fifth_bits(bits), codes);
  write_bytes<Bytes16>((bytes >> 4) | fifth_bits(bits >> 16), codes + 16);
}

struct Q50 {
  static constexpr uint64_t kSize = 32, kBytes = 22, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = half_at(block);
    split_fives(block + 6, load_u32(block + 2), codes);
  }
};
struct Q51 {
  static constexpr uint64_t kSize = 32, kBytes = 24, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    scales[0] = half_at(block);
    minimums[0] = half_at(block + 2);
    split_fives(block + 8, load_u32(block + 4), codes);
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
  const SubBlockScales loaded = load_sub_block_scales(block);
  for (int group = 0; group < 8; ++group) {
    scales[group] = loaded.scale[group];
    minimums[group] = -loaded.minimum[group];
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
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = half_at(block + 208);
    for (int group = 0; group < 16; ++group)
      scales[group] = d * static_cast<float>(static_cast<int8_t>(block[192 + group]));
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
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float* minimums) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (int group = 0; group < 16; ++group) {
      scales[group] = d * static_cast<float>(block[group] & 15);
      minimums[group] = -(dmin * static_cast<float>(block[group] >> 4));
    }
    for (int half = 0; half < 2; ++half) {
      Bytes32 q;
      read_bytes(block + 16 + 32 * half, q);
      for (int plane = 0; plane < 4; ++plane)
        write_bytes<Bytes32>((q >> static_cast<uint8_t>(2 * plane)) & 3,
                             codes + 128 * half + 32 * plane);
    }
  }
};
struct Q3K {
  static constexpr uint64_t kSize = 256, kBytes = 110, kBlock = 16;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = half_at(block + 108);
    const uint8_t* packed = block + 96;
    for (int group = 0; group < 16; ++group) {
      const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
      const int high = (packed[8 + (group & 3)] >> (2 * (group >> 2))) & 3;
      scales[group] = d * static_cast<float>((low | (high << 4)) - 32);
    }
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

// values[code] + 128 for each of 16 bytes' low nibbles, then of the high ones.
inline void look_up_nibbles(const int8_t* values, const uint8_t* packed, uint8_t* codes) {
#if defined(__AVX2__)
  const __m128i table = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)),
                                      _mm_set1_epi8(static_cast<char>(0x80)));
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm_shuffle_epi8(table, low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm_shuffle_epi8(table, high));
#else
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<uint8_t>(values[packed[i] & 15] + 128);
    codes[i + 16] = static_cast<uint8_t>(values[packed[i] >> 4] + 128);
  }
#endif
}

struct Iq4Nl {
  static constexpr uint64_t kSize = 32, kBytes = 18, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = half_at(block);
    look_up_nibbles(kIq4Values, block + 2, codes);
  }
};
struct Iq4Xs {
  static constexpr uint64_t kSize = 256, kBytes = 136, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    const float d = half_at(block);
    const uint16_t high = load_u16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (block[4 + group / 2] >> (4 * (group % 2))) & 15;
      scales[group] = d * static_cast<float>((low | ((high >> (2 * group)) & 3) << 4) - 32);
      look_up_nibbles(kIq4Values, block + 8 + 16 * group, codes + 32 * group);
    }
  }
};
struct Mxfp4 {
  static constexpr uint64_t kSize = 32, kBytes = 17, kBlock = 32;
  static void decode(const uint8_t* block, uint8_t* codes, float* scales, float*) {
    scales[0] = e8m0_half(block[0]);
    look_up_nibbles(kFp4Values, block + 1, codes);
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

constexpr GgufIntegerType kIntegerTypes[] = {{"q4_0", 32, 8, false, decode_codes<Q40>},
                                             {"q4_1", 32, 0, true, decode_codes<Q41>},
                                             {"q5_0", 32, 16, false, decode_codes<Q50>},
                                             {"q5_1", 32, 0, true, decode_codes<Q51>},
                                             {"q8_0", 32, 128, false, decode_codes<Q80>},
                                             {"q2_k", 16, 0, true, decode_codes<Q2K>},
                                             {"q3_k", 16, 4, false, decode_codes<Q3K>},
                                             {"q4_k", 32, 0, true, decode_codes<Q4K>},
                                             {"q5_k", 32, 0, true, decode_codes<Q5K>},
                                             {"q6_k", 16, 32, false, decode_codes<Q6K>},
                                             {"iq4_nl", 32, 128, false, decode_codes<Iq4Nl>},
                                             {"iq4_xs", 32, 128, false, decode_codes<Iq4Xs>},
                                             {"mxfp4", 32, 128, false, decode_codes<Mxfp4>}};

}  // namespace

const GgufLinearKernels& gguf_linear_kernels() {
  static const GgufLinearKernels kernels{decode_floats, kIntegerTypes, gguf_bfloat16_decoders(),
                                         gguf_row_dots()};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
