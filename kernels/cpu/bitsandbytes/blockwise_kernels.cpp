// Compiled once for each instruction set.
#include <cmath>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/bitsandbytes/codebooks.h"

namespace precis::kernels {
namespace PRECIS_ISA {
namespace {

constexpr uint64_t kStrip = 64;  // elements encoded at once; the smallest usual block

// codes[i] = how many bounds lie below s[i]; a NaN lies above all of them.
inline void count_bounds(const float* s, const float* bounds, uint8_t* codes, uint64_t count) {
  int32_t wide[kStrip];
  for (uint64_t i = 0; i < count; ++i) {
    int32_t code = 0;
    for (int bound = 0; bound < 15; ++bound) code += !(s[i] <= bounds[bound]) ? 1 : 0;
    wide[i] = code;
  }
  for (uint64_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(wide[i]);
}

inline float clamp_to_unit(float value) {
  value = value < -1.0f ? -1.0f : value;
  return value > 1.0f ? 1.0f : value;
}

// Scales, encodes and packs elements [begin, end) of one block. Full blocks multiply by the
// reciprocal, the ragged last block divides, as the reference does.
template <typename Type>
void encode_block(const FourBitCode& code, const typename Type::Stored* weight, uint64_t begin,
                  uint64_t end, bool full, float absmax, uint8_t* packed) {
  constexpr float kSmallest = 1e-38f;
  const float clamped = absmax < kSmallest ? kSmallest : absmax;
  const float inverse = 1.0f / clamped;
  for (uint64_t strip = begin; strip < end; strip += kStrip) {
    const uint64_t count = std::min(kStrip, end - strip);
    float s[kStrip] = {};
    for (uint64_t i = 0; i < count; ++i) {
      const float x = Type::load(weight, strip + i);
      s[i] = clamp_to_unit(full ? x * inverse : x / clamped);
    }
    uint8_t codes[kStrip];
    count_bounds(s, code.bounds, codes, kStrip);
    uint8_t nibbles[kStrip];
    for (uint64_t i = 0; i < kStrip; ++i) nibbles[i] = code.code_of_rank[codes[i]];
    uint8_t* out = packed + strip / 2;
    for (uint64_t i = 0; i < (count + 1) / 2; ++i) {
      out[i] = static_cast<uint8_t>((nibbles[2 * i] << 4) | nibbles[2 * i + 1]);
    }
  }
}

void quantize_4bit(FourBitType type, WeightType weight_type, const void* weight, uint64_t n,
                   uint64_t blocksize, uint64_t block_begin, uint64_t block_end, uint8_t* packed,
                   float* absmax) {
  const FourBitCode& code = four_bit_code(type);
  with_type(weight_type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t block = block_begin; block < block_end; ++block) {
      const uint64_t begin = block * blocksize;
      const uint64_t end = std::min(n, begin + blocksize);
      const bool full = end - begin == blocksize;
      const float largest = absmax_of<Type>(values, begin, end);
      // The reference stores the clamped value for a ragged block only.
      absmax[block] = full || !(largest < 1e-38f) ? largest : 1e-38f;
      encode_block<Type>(code, values, begin, end, full, largest, packed);
    }
  });
}

// The 16 values of a block, rounded to the weight's dtype.
void scale_codebook(const float* codebook, float absmax, WeightType weight_type, float* scaled) {
  with_type(weight_type, [&](auto tag) {
    for (int code = 0; code < 16; ++code)
      scaled[code] = decltype(tag)::round(codebook[code] * absmax);
  });
}

void dequantize_4bit(FourBitType type, const uint8_t* packed, const float* absmax,
                     uint64_t blocksize, uint64_t begin, uint64_t end, WeightType weight_type,
                     WeightType out_type, void* out) {
  const float* codebook = four_bit_codebook(type);
  const uint64_t first_block = begin / blocksize;
  with_type(out_type, [&](auto tag) {
    using Type = decltype(tag);
    auto* values = static_cast<typename Type::Stored*>(out);
    for (uint64_t i = begin; i < end;) {
      const uint64_t block_end = std::min(end, (i / blocksize + 1) * blocksize);
      float scaled[16];
      scale_codebook(codebook, absmax[i / blocksize - first_block], weight_type, scaled);
      typename Type::Stored table[16];
      for (uint64_t code = 0; code < 16; ++code) Type::store(table, code, scaled[code]);
      if (i % 2 != 0) {
        values[i - begin] = table[packed[i / 2] & 15];
        ++i;
      }
      for (; i + 1 < block_end; i += 2) {
        const uint8_t byte = packed[i / 2];
        values[i - begin] = table[byte >> 4];
        values[i - begin + 1] = table[byte & 15];
      }
      if (i < block_end) {
        values[i - begin] = table[packed[i / 2] >> 4];
        ++i;
      }
    }
  });
}

}  // namespace

const BlockwiseKernels& blockwise_kernels() {
  static constexpr BlockwiseKernels kernels{quantize_4bit, dequantize_4bit};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
