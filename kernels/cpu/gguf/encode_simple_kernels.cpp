// Encoding of the blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Compiled once for each instruction
// set.
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
namespace PRECIS_ISA {
namespace {

// Importance times how far a value stands out of its row.
void weights_of(const float* x, const float* importance, float sigma2, int n, float* weights) {
  for (int i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(sigma2 + x[i] * x[i]);
}

// Nibbles, and the fifth bits when there are any.
void pack_nibbles(const uint8_t* L, uint8_t* q, uint32_t* high) {
  uint32_t bits = 0;
  for (int j = 0; j < 16; ++j) {
    q[j] = static_cast<uint8_t>((L[j] & 15) | (L[j + 16] << 4));
    bits |= static_cast<uint32_t>(L[j] >> 4) << j;
    bits |= static_cast<uint32_t>(L[j + 16] >> 4) << (j + 16);
  }
  if (high != nullptr) *high = bits;
}

// Q4_0 and Q5_0: 2 * half levels around zero.
void encode_symmetric(const float* row, uint64_t columns, const float* importance, int half,
                      uint8_t* block) {
  const bool five = half == 16;
  const float sigma2 = importance != nullptr ? mean_square(row, columns, 1.0f) : 0;
  for (uint64_t begin = 0; begin < columns; begin += 32, block += five ? 22 : 18) {
    const float* x = row + begin;
    uint8_t L[32];
    float d = 0;
    if (importance != nullptr) {
      float weights[32];
      weights_of(x, importance + begin, sigma2, 32, weights);
      d = search_symmetric(32, half, x, reinterpret_cast<int8_t*>(L), weights);
    } else {
      d = signed_max(x, 32) / static_cast<float>(-half);
      const float id = d != 0 ? 1.0f / d : 0.0f;
      for (int i = 0; i < 32; ++i) {
        const int q =
            static_cast<int8_t>(static_cast<int>(x[i] * id + (static_cast<float>(half) + 0.5f)));
        L[i] = static_cast<uint8_t>(q < 2 * half - 1 ? q : 2 * half - 1);
      }
    }
    store_half(block, d);
    uint32_t high = 0;
    pack_nibbles(L, block + (five ? 6 : 2), &high);
    if (five) std::memcpy(block + 2, &high, sizeof high);
  }
}

// Q4_1 and Q5_1: levels 0 ... top above a minimum.
void encode_affine(const float* row, uint64_t columns, const float* importance, int top,
                   uint8_t* block) {
  const bool five = top == 31;
  const float sigma2 = importance != nullptr ? mean_square(row, columns, 1.0f) : 0;
  for (uint64_t begin = 0; begin < columns; begin += 32, block += five ? 24 : 20) {
    const float* x = row + begin;
    uint8_t L[32];
    float d = 0, minimum = 0;
    if (importance != nullptr) {
      float weights[32];
      weights_of(x, importance + begin, sigma2, 32, weights);
      d = search_with_minimum(32, top, x, weights, L, &minimum, -0.9f, 0.05f, 36, false, true);
      minimum = -minimum;
    } else {
      float low = x[0], high = x[0];
      for (int i = 1; i < 32; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
      }
      minimum = low;
      d = (high - low) / static_cast<float>(top);
      const float id = d != 0 ? 1.0f / d : 0.0f;
      for (int i = 0; i < 32; ++i) {
        const int q = static_cast<int8_t>(static_cast<int>((x[i] - low) * id + 0.5f));
        L[i] = static_cast<uint8_t>(q < top || five ? q : top);
      }
    }
    store_half(block, d);
    store_half(block + 2, minimum);
    uint32_t high_bits = 0;
    pack_nibbles(L, block + (five ? 8 : 4), &high_bits);
    if (five) std::memcpy(block + 4, &high_bits, sizeof high_bits);
  }
}

}  // namespace

void encode_q4_0(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_symmetric(row, columns, importance, 8, blocks);
}
void encode_q5_0(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_symmetric(row, columns, importance, 16, blocks);
}
void encode_q4_1(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_affine(row, columns, importance, 15, blocks);
}
void encode_q5_1(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_affine(row, columns, importance, 31, blocks);
}

void encode_q8_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  for (uint64_t begin = 0; begin < columns; begin += 32, block += 34) {
    const float* x = row + begin;
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
    const float d = largest / 127.0f, id = d != 0 ? 1.0f / d : 0.0f;
    store_half(block, d);
    for (int i = 0; i < 32; ++i) {
      // Half away from zero, as C's roundf: one half is added to the magnitude, unless that rounds
      // up by itself. A block of subnormals makes id infinite; what ggml's conversion of that gives
      // on x86 is 0.
      const float v = x[i] * id, magnitude = std::fabs(v) < 128.0f ? std::fabs(v) : 0.0f;
      auto whole = static_cast<int32_t>(magnitude);
      whole += magnitude - static_cast<float>(whole) >= 0.5f ? 1 : 0;
      block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(v < 0 ? -whole : whole));
    }
  }
}

void encode_f16(const float* row, uint64_t columns, const float*, uint8_t* out) {
  for (uint64_t i = 0; i < columns; ++i) store_half(out + 2 * i, row[i]);
}

void encode_bf16(const float* row, uint64_t columns, const float*, uint8_t* out) {
  for (uint64_t i = 0; i < columns; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(row[i]);
    // ggml keeps a NaN's payload and makes it quiet.
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const auto value = static_cast<uint16_t>(nan ? (bits >> 16) | 64u
                                                 : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    std::memcpy(out + 2 * i, &value, sizeof value);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
