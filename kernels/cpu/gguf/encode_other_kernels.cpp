// Encoding of the ternary types, the 4-bit floats and the plain 1- and 2-bit types.
// Compiled once for each instruction set.
#include "kernels/cpu/common/bit_fields.h"
#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

int round_half_away(float value) {
  return truncate(std::round(value));
}

// The codes of the doubled E2M1 values nearest to x / d, the first of equals. Values of the other
// sign are never nearer than 0, which comes first.
void nearest_fp4(const float* x, int n, float d, uint8_t* codes) {
  int i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= n; i += kLanes) {
    const Floats value = Floats::load(x + i), magnitude = abs(value);
    Floats error = magnitude;
    Ints code = Ints::of(0);
    for (int candidate = 1; candidate < 8; ++candidate) {
      const Floats distance =
          abs(Floats::of(static_cast<float>(kFp4Values[candidate]) * d) - magnitude);
      const Mask nearer = distance < error;
      code = max(code, add_where(nearer, Ints::of(0), Ints::of(candidate)));
      error = select(nearer, distance, error);
    }
    const Mask negative = (value < Floats::of(0)) & !(code == Ints::of(0));
    store_bytes(codes + i, add_where(negative, code, Ints::of(8)));
  }
#endif
  for (; i < n; ++i) {
    int best = 0;
    float error = std::fabs(static_cast<float>(kFp4Values[0]) * d - x[i]);
    for (int candidate = 1; candidate < 16; ++candidate) {
      const float distance = std::fabs(static_cast<float>(kFp4Values[candidate]) * d - x[i]);
      if (distance < error) {
        error = distance;
        best = candidate;
      }
    }
    codes[i] = static_cast<uint8_t>(best);
  }
}

// Pairs of codes `half` apart, a multiple of 8: the first in the low bits.
void pack_halves(const uint8_t* codes, int half, uint8_t* pairs) {
  for (int j = 0; j < half; j += 8) {
    uint64_t low, high;
    std::memcpy(&low, codes + j, sizeof low);
    std::memcpy(&high, codes + half + j, sizeof high);
    low |= high << 4;
    std::memcpy(pairs + j, &low, sizeof low);
  }
}

// floor(log2(value)) of a positive number, rounded as float32's log2 rounds: what lies just below a
// power of two is taken for it.
int whole_log2(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), mantissa = bits & 0x7fffffu;
  const int exponent = static_cast<int>(bits >> 23);
  if (exponent > 0 && exponent < 255 && mantissa < 0x7ff000u) return exponent - 127;
  return truncate(std::floor(std::log2(value)));
}

uint8_t encode_ue4m3(float x) {
  if (!(x > 0)) return 0;
  if (x > 448.0f) x = 448.0f;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  int exponent = static_cast<int>(bits >> 23) - 127 + 7;
  if (exponent <= 0) {
    const int m = static_cast<int>(x * 512.0f + 0.5f);
    return static_cast<uint8_t>(m > 7 ? 7 : m < 1 ? 0 : m);
  }
  if (exponent >= 15) return 0x7e;
  uint32_t mantissa = (bits >> 20) & 7;
  if (((bits >> 19) & 1) != 0 && ++mantissa == 8) {
    mantissa = 0;
    if (++exponent >= 15) return 0x7e;
  }
  return static_cast<uint8_t>((exponent << 3) | static_cast<int>(mantissa));
}

// Of numbers that are no NaN.
float absmax(const float* x, int n) {
  float largest = 0;
  int i = 0;
#if PRECIS_LANES > 1
  Floats found = Floats::of(0);
  for (; i + kLanes <= n; i += kLanes) found = max(abs(Floats::load(x + i)), found);
  largest = largest_of(found);
#endif
  for (; i < n; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  return largest;
}

// Sums of magnitudes of blocks of kSumBlock numbers, one after another in each.
constexpr uint64_t kSumBlock = 128;
void magnitude_sums(const float* row, uint64_t blocks, float* sums) {
  uint64_t block = 0;
#if PRECIS_LANES > 1
  for (; block + kLanes <= blocks; block += kLanes) {
    Floats sum = Floats::of(0);
    for (uint64_t i = 0; i < kSumBlock; ++i)
      sum = sum + abs(Floats::gather(row + block * kSumBlock + i, static_cast<int>(kSumBlock)));
    sum.store(sums + block);
  }
#endif
  for (; block < blocks; ++block) {
    sums[block] = 0;
    for (uint64_t i = 0; i < kSumBlock; ++i) sums[block] += std::fabs(row[block * kSumBlock + i]);
  }
}

// A bit for each of kSumBlock numbers: whether it is at least 0.
void pack_signs(const float* x, uint8_t* bits) {
#if PRECIS_LANES >= 8
  for (uint64_t i = 0; i < kSumBlock; i += kLanes) {
    const uint32_t here = bits_of(Floats::of(0) <= Floats::load(x + i));
    std::memcpy(bits + i / 8, &here, kLanes / 8);
  }
#else
  std::memset(bits, 0, kSumBlock / 8);
  for (uint64_t i = 0; i < kSumBlock; ++i)
    if (x[i] >= 0) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1 << i % 8);
#endif
}

// x * scale to the nearest integer, halves away from zero, 0 to 3 once 1 is added.
void ternary_codes(const float* x, int n, float scale, uint8_t* codes) {
  int i = 0;
#if PRECIS_LANES > 1
  // What lies under one half by a unit in the last place is added to the magnitude.
  const Ints sign = Ints::of(INT32_MIN), half = as_ints(Floats::of(0x1.fffffep-2f));
  for (; i + kLanes <= n; i += kLanes) {
    const Floats value = Floats::load(x + i) * Floats::of(scale);
    const Ints code = truncate(value + as_floats((as_ints(value) & sign) | half)) + Ints::of(1);
    store_bytes(codes + i, min(max(code, Ints::of(0)), Ints::of(3)));
  }
#endif
  for (; i < n; ++i)
    codes[i] = static_cast<uint8_t>(clamp_int(round_half_away(x[i] * scale) + 1, 0, 3));
}

}  // namespace

void encode_tq1_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  const auto pack = [](const float* x, float id, int stride, int count) {
    uint32_t value = 0;
    for (int n = 0; n < count; ++n)
      value = value * 3 + static_cast<uint32_t>(round_half_away(x[n * stride] * id) + 1);
    if (count == 4) value *= 3;
    return static_cast<uint8_t>((value * 256 + 242) / 243);
  };
  for (uint64_t begin = 0; begin < columns; begin += 256, block += 54) {
    const float* x = row + begin;
    const float d = absmax(x, 256), id = d != 0 ? 1.0f / d : 0.0f;
    store_half(block + 52, d);
    for (int m = 0; m < 32; ++m) block[m] = pack(x + m, id, 32, 5);
    for (int m = 0; m < 16; ++m) block[32 + m] = pack(x + 160 + m, id, 16, 5);
    for (int j = 0; j < 4; ++j) block[48 + j] = pack(x + 240 + j, id, 4, 4);
  }
}

void encode_tq2_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 256, block += 66) {
    const float* x = row + begin;
    const float d = absmax(x, 256), id = d != 0 ? 1.0f / d : 0.0f;
    store_half(block + 64, d);
    for (int half = 0; half < 2; ++half) {
      for (int l = 0; l < 32; ++l) {
        int byte = 0;
        for (int k = 0; k < 4; ++k)
          byte |= (round_half_away(x[128 * half + 32 * k + l] * id) + 1) << (2 * k);
        block[32 * half + l] = static_cast<uint8_t>(byte);
      }
    }
  }
}

void encode_mxfp4(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 32, block += 17) {
    const float largest = absmax(row + begin, 32);
    block[0] = largest > 0
                   ? static_cast<uint8_t>(static_cast<uint32_t>(whole_log2(largest)) - 2 + 127)
                   : uint8_t{0};
    uint8_t codes[32];
    nearest_fp4(row + begin, 32, e8m0_half(block[0]), codes);
    pack_halves(codes, 16, block + 1);
  }
}

void encode_nvfp4(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 64, block += 36) {
    for (int group = 0; group < 4; ++group) {
      const float* x = row + begin + 16 * group;
      block[group] = encode_ue4m3(absmax(x, 16) / 6.0f);
      uint8_t codes[16];
      nearest_fp4(x, 16, ue4m3_half(block[group]), codes);
      pack_halves(codes, 8, block + 4 + 8 * group);
    }
  }
}

void encode_q1_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  constexpr uint64_t kBlocks = 32;
  float sums[kBlocks];
  for (uint64_t begin = 0; begin < columns; begin += kBlocks * kSumBlock) {
    const uint64_t blocks = std::min(kBlocks, (columns - begin) / kSumBlock);
    magnitude_sums(row + begin, blocks, sums);
    for (uint64_t i = 0; i < blocks; ++i, block += 18) {
      store_half(block, sums[i] / kSumBlock);
      pack_signs(row + begin + i * kSumBlock, block + 2);
    }
  }
}

void encode_q2_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 64, block += 18) {
    const float d = absmax(row + begin, 64);
    store_half(block, d);
    uint8_t codes[64];
    ternary_codes(row + begin, 64, d != 0 ? 1.0f / d : 0.0f, codes);
    pack_bit_fields(2, codes, 64, block + 2);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
