// Encoding to GGUF's Q4_K, bit for bit as kernels/cpu/gguf without an importance matrix.
#pragma once

#include "kernels/device/quantize_gguf.h"

namespace precis::kernels::PRECIS_DEVICE {

// ggml's nearest_int: ties to even, for |value| up to 4194303.
PRECIS_FUNCTION int nearest_int(float value) {
  return static_cast<int>(bits_as<uint32_t>(value + 12582912.0f) & 0x007fffffu) - 0x00400000;
}
PRECIS_FUNCTION int clamp_int(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

// Q4_K: what the search finds for a sub-block of 32, and by what its codes came out.
struct KSearch {
  float scale, minimum;
  float inverse, base;  // code = (x - base) * inverse; an inverse of 0: all codes are 0
};

PRECIS_FUNCTION int k_code(float x, float inverse, float base) {
  return clamp_int(nearest_int(inverse * (x - base)), 0, 15);
}

// ggml's make_qkx2_quants for 15 levels, in its order of operations.
PRECIS_FUNCTION KSearch search_q4_k(const float (&x)[32]) {
  float squares = 0;
  PRECIS_UNROLL
  for (int i = 0; i < 32; ++i) squares += x[i] * x[i];
  const float average = square_root(squares / 32.0f);
  const auto weight = [&](int i) { return average + magnitude_of(x[i]); };
  float low = x[0], high = x[0], sum_w = weight(0), sum_x = sum_w * x[0];
  PRECIS_UNROLL
  for (int i = 1; i < 32; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    const float w = weight(i);
    sum_w += w;
    sum_x += w * x[i];
  }
  if (low > 0) low = 0;
  if (high == low) return {0.0f, -low, 0.0f, 0.0f};
  KSearch found{0, low, 15.0f / (high - low), low};
  found.scale = 1.0f / found.inverse;
  const auto error_of = [&](float inverse, float base, float scale, float minimum) {
    float error = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 32; ++i) {
      float difference = scale * static_cast<float>(k_code(x[i], inverse, base)) + minimum - x[i];
      difference = difference * difference;
      error += weight(i) * difference;
    }
    return error;
  };
  float best = error_of(found.inverse, low, found.scale, low);
  for (int step = 0; step <= 20; ++step) {
    const float base = found.minimum;
    const float inverse = (-1.0f + 0.1f * static_cast<float>(step) + 15.0f) / (high - base);
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 32; ++i) {
      const float level = static_cast<float>(k_code(x[i], inverse, base)), w = weight(i);
      sum_l += w * level;
      sum_l2 += w * level * level;
      sum_xl += w * level * x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) continue;
    float scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (minimum > 0) {
      minimum = 0;
      scale = sum_xl / sum_l2;
    }
    const float error = error_of(inverse, base, scale, minimum);
    if (error < best) {
      best = error;
      found = {scale, minimum, inverse, base};
    }
  }
  found.minimum = -found.minimum;
  return found;
}

// The largest over the eight lanes of a super-block, at least 0.
PRECIS_FUNCTION float top_of_eight(float value) {
  value = value > 0 ? value : 0.0f;
  PRECIS_UNROLL
  for (int lanes = 4; lanes > 0; lanes /= 2) {
    const float other = shuffle_xor(value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

// One code of 6 bits for a scale or a minimum.
PRECIS_FUNCTION uint32_t six_bits(float value, float top) {
  const float inverse = top > 0 ? 63.0f / top : 0.0f;
  return static_cast<uint32_t>(clamp_int(nearest_int(inverse * value), -255, 63)) & 0xffu;
}

// One thread for each sub-block, eight for a super-block. Bound by arithmetic: 21 scales are tried
// for every sub-block, at about 20 operations a weight and scale.
template <class Element>
__global__ void __launch_bounds__(kGgufThreads)
    quantize_q4_k_kernel(const Element* weight, uint64_t count, uint8_t* blocks) {
  const uint64_t thread = uint64_t{blockIdx.x} * kGgufThreads + threadIdx.x;
  // Lanes beyond the last take part in the shuffles with the last's data.
  const uint64_t mine = thread / 8 < count ? thread / 8 : count - 1;
  const uint32_t j = threadIdx.x % 8;
  float x[32];
  PRECIS_UNROLL
  for (int i = 0; i < 4; ++i) {
    float eight[8];
    load_8(weight + mine * 256 + j * 32 + static_cast<unsigned>(8 * i), eight);
    PRECIS_UNROLL
    for (int k = 0; k < 8; ++k) x[8 * i + k] = eight[k];
  }
  const KSearch found = search_q4_k(x);
  const float top_scale = top_of_eight(found.scale), top_minimum = top_of_eight(found.minimum);
  const uint32_t scale_code = six_bits(found.scale, top_scale);
  const uint32_t minimum_code = six_bits(found.minimum, top_minimum);
  const uint16_t d = half_bits(top_scale / 63.0f), dmin = half_bits(top_minimum / 63.0f);
  const float scale = half_value(d) * static_cast<float>(scale_code);
  const float minimum = half_value(dmin) * static_cast<float>(minimum_code);
  const uint32_t scale_above = shuffle_xor(scale_code, 4);
  const uint32_t minimum_above = shuffle_xor(minimum_code, 4);

  uint32_t words[8];
  PRECIS_UNROLL
  for (int word = 0; word < 8; ++word) {
    uint32_t codes = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float value = x[4 * word + i];
      // Where the stored scale is zero, the codes of the search stay.
      const int code = scale == 0
                           ? (found.inverse == 0 ? 0 : k_code(value, found.inverse, found.base))
                           : clamp_int(nearest_int((value + minimum) / scale), 0, 15);
      codes |= static_cast<uint32_t>(code) << (8 * i);
    }
    words[word] = codes;
  }
  // Sub-blocks 2p and 2p + 1 share bytes: the even lane writes the first half of them.
  const bool odd = j % 2 != 0;
  uint32_t out[4];
  PRECIS_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint32_t sent = odd ? words[i] : words[4 + i];
    const uint32_t got = shuffle_xor(sent, 1);
    out[i] = odd ? got | words[4 + i] << 4 : words[i] | got << 4;
  }
  if (thread / 8 >= count) return;
  uint8_t* block = blocks + mine * 144;
  store_vector(block + 16 + 32 * (j / 2) + (odd ? 16 : 0),
               Words4{{out[0], out[1], out[2], out[3]}});
  if (j == 0) *reinterpret_cast<uint32_t*>(block) = d | static_cast<uint32_t>(dmin) << 16;
  if (j < 4) {
    block[4 + j] = static_cast<uint8_t>(scale_code | (scale_above >> 4) << 6);
    block[8 + j] = static_cast<uint8_t>(minimum_code | (minimum_above >> 4) << 6);
    block[12 + j] = static_cast<uint8_t>((scale_above & 15u) | (minimum_above & 15u) << 4);
  }
}

template <class Element>
const char* launch_quantize_q4_k(const Element* weight, uint64_t count, uint8_t* blocks,
                                 void* stream) {
  constexpr unsigned kBlocks = kGgufThreads / 8;
  return PRECIS_LAUNCH((quantize_q4_k_kernel<Element>),
                       dim3(static_cast<unsigned>((count + kBlocks - 1) / kBlocks)),
                       dim3(kGgufThreads), 0, stream, weight, count, blocks);
}

}  // namespace precis::kernels::PRECIS_DEVICE
