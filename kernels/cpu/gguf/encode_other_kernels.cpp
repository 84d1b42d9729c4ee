// Encoding of the ternary types, the 4-bit floats and the plain 1- and 2-bit types.
// Compiled once for each instruction set.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

int round_half_away(float value) {
  return static_cast<int>(std::round(value));
}

// The code of the doubled E2M1 value nearest to x / d, the first of equals.
uint8_t nearest_fp4(float x, float d) {
  int best = 0;
  float error = std::fabs(static_cast<float>(kFp4Values[0]) * d - x);
  for (int i = 1; i < 16; ++i) {
    const float candidate = std::fabs(static_cast<float>(kFp4Values[i]) * d - x);
    if (candidate < error) {
      error = candidate;
      best = i;
    }
  }
  return static_cast<uint8_t>(best);
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

float absmax(const float* x, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  return largest;
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
    const float* x = row + begin;
    const float largest = absmax(x, 32);
    block[0] =
        largest > 0
            ? static_cast<uint8_t>(static_cast<int>(std::floor(std::log2(largest))) - 2 + 127)
            : uint8_t{0};
    const float d = e8m0_half(block[0]);
    for (int j = 0; j < 16; ++j)
      block[1 + j] = static_cast<uint8_t>(nearest_fp4(x[j], d) | (nearest_fp4(x[j + 16], d) << 4));
  }
}

void encode_nvfp4(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 64, block += 36) {
    for (int group = 0; group < 4; ++group) {
      const float* x = row + begin + 16 * group;
      block[group] = encode_ue4m3(absmax(x, 16) / 6.0f);
      const float d = ue4m3_half(block[group]);
      for (int j = 0; j < 8; ++j) {
        block[4 + 8 * group + j] =
            static_cast<uint8_t>(nearest_fp4(x[j], d) | (nearest_fp4(x[j + 8], d) << 4));
      }
    }
  }
}

void encode_q1_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 128, block += 18) {
    const float* x = row + begin;
    float sum = 0;
    for (int i = 0; i < 128; ++i) sum += std::fabs(x[i]);
    store_half(block, sum / 128);
    std::memset(block + 2, 0, 16);
    for (int i = 0; i < 128; ++i) {
      if (x[i] >= 0) block[2 + i / 8] = static_cast<uint8_t>(block[2 + i / 8] | (1 << (i % 8)));
    }
  }
}

void encode_q2_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 64, block += 18) {
    const float* x = row + begin;
    const float d = absmax(x, 64), id = d != 0 ? 1.0f / d : 0.0f;
    store_half(block, d);
    std::memset(block + 2, 0, 16);
    for (int i = 0; i < 64; ++i) {
      const int q = clamp_int(round_half_away(x[i] * id) + 1, 0, 3);
      block[2 + i / 4] = static_cast<uint8_t>(block[2 + i / 4] | (q << (2 * (i % 4))));
    }
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
