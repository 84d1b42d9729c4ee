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

// A sub-block of 32 as scale * code - minimum, and what its codes were rounded with.
struct SubBlockFit {
  float scale, minimum;
  float inverse_scale, origin;  // code = (x - origin) * inverse_scale; 0: all codes are 0
};

PRECIS_FUNCTION int code_of(float x, float inverse_scale, float origin) {
  return clamp_int(nearest_int(inverse_scale * (x - origin)), 0, 15);
}

// ggml's make_qkx2_quants for 15 levels, in its order of operations.
PRECIS_FUNCTION SubBlockFit fit_sub_block(const float (&x)[32]) {
  float square_sum = 0;
  PRECIS_UNROLL
  for (int i = 0; i < 32; ++i) square_sum += x[i] * x[i];
  const float root_mean_square = square_root(square_sum / 32.0f);
  const auto weight = [&](int i) { return root_mean_square + magnitude_of(x[i]); };
  float low = x[0], high = x[0], weight_sum = weight(0), x_sum = weight_sum * x[0];
  PRECIS_UNROLL
  for (int i = 1; i < 32; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    const float w = weight(i);
    weight_sum += w;
    x_sum += w * x[i];
  }
  if (low > 0) low = 0;
  if (high == low) return {0.0f, -low, 0.0f, 0.0f};
  SubBlockFit fit{0, low, 15.0f / (high - low), low};
  fit.scale = 1.0f / fit.inverse_scale;
  const auto error_of = [&](float inverse_scale, float origin, float scale, float minimum) {
    float error = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 32; ++i) {
      float difference =
          scale * static_cast<float>(code_of(x[i], inverse_scale, origin)) + minimum - x[i];
      difference = difference * difference;
      error += weight(i) * difference;
    }
    return error;
  };
  float least_error = error_of(fit.inverse_scale, low, fit.scale, low);
  for (int step = 0; step <= 20; ++step) {
    const float origin = fit.minimum;
    const float inverse_scale = (-1.0f + 0.1f * static_cast<float>(step) + 15.0f) / (high - origin);
    float code_sum = 0, code_square_sum = 0, x_code_sum = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 32; ++i) {
      const float code = static_cast<float>(code_of(x[i], inverse_scale, origin)), w = weight(i);
      code_sum += w * code;
      code_square_sum += w * code * code;
      x_code_sum += w * code * x[i];
    }
    const float determinant = weight_sum * code_square_sum - code_sum * code_sum;
    if (!(determinant > 0)) continue;
    float scale = (weight_sum * x_code_sum - x_sum * code_sum) / determinant;
    float minimum = (code_square_sum * x_sum - code_sum * x_code_sum) / determinant;
    if (minimum > 0) {
      minimum = 0;
      scale = x_code_sum / code_square_sum;
    }
    const float error = error_of(inverse_scale, origin, scale, minimum);
    if (error < least_error) {
      least_error = error;
      fit = {scale, minimum, inverse_scale, origin};
    }
  }
  fit.minimum = -fit.minimum;
  return fit;
}

// The largest over the eight lanes of a super-block, at least 0.
PRECIS_FUNCTION float largest_of_sub_blocks(float value) {
  value = value > 0 ? value : 0.0f;
  PRECIS_UNROLL
  for (int lanes = 4; lanes > 0; lanes /= 2) {
    const float other = shuffle_xor(value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

// One code of 6 bits for a scale or a minimum.
PRECIS_FUNCTION uint32_t six_bit_code(float value, float largest) {
  const float inverse_scale = largest > 0 ? 63.0f / largest : 0.0f;
  return static_cast<uint32_t>(clamp_int(nearest_int(inverse_scale * value), -255, 63)) & 0xffu;
}

// One thread for each sub-block, eight for a super-block. Bound by arithmetic: 21 scales are tried
// for every sub-block, at about 20 operations a weight and scale.
template <class Element>
__global__ void __launch_bounds__(kGgufThreads)
    quantize_q4_k_kernel(const Element* weight, uint64_t count, uint8_t* blocks) {
  const uint64_t thread = uint64_t{blockIdx.x} * kGgufThreads + threadIdx.x;
  // Lanes beyond the last take part in the shuffles with the last's data.
  const uint64_t super_block = thread / 8 < count ? thread / 8 : count - 1;
  const uint32_t sub_block = threadIdx.x % 8;
  float x[32];
  PRECIS_UNROLL
  for (int i = 0; i < 4; ++i) {
    float eight[8];
    load_8(weight + super_block * 256 + sub_block * 32 + static_cast<unsigned>(8 * i), eight);
    PRECIS_UNROLL
    for (int k = 0; k < 8; ++k) x[8 * i + k] = eight[k];
  }
  const SubBlockFit fit = fit_sub_block(x);
  const float largest_scale = largest_of_sub_blocks(fit.scale),
              largest_minimum = largest_of_sub_blocks(fit.minimum);
  const uint32_t scale_code = six_bit_code(fit.scale, largest_scale);
  const uint32_t minimum_code = six_bit_code(fit.minimum, largest_minimum);
  const uint16_t block_scale = half_bits(largest_scale / 63.0f),
                 block_minimum = half_bits(largest_minimum / 63.0f);
  const float scale = half_value(block_scale) * static_cast<float>(scale_code);
  const float minimum = half_value(block_minimum) * static_cast<float>(minimum_code);
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
      const int code =
          scale == 0 ? (fit.inverse_scale == 0 ? 0 : code_of(value, fit.inverse_scale, fit.origin))
                     : clamp_int(nearest_int((value + minimum) / scale), 0, 15);
      codes |= static_cast<uint32_t>(code) << (8 * i);
    }
    words[word] = codes;
  }
  // Sub-blocks 2p and 2p + 1 share bytes: the even lane writes the first half of them.
  const bool odd = sub_block % 2 != 0;
  uint32_t out[4];
  PRECIS_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint32_t sent = odd ? words[i] : words[4 + i];
    const uint32_t got = shuffle_xor(sent, 1);
    out[i] = odd ? got | words[4 + i] << 4 : words[i] | got << 4;
  }
  if (thread / 8 >= count) return;
  uint8_t* block = blocks + super_block * 144;
  store_vector(block + 16 + 32 * (sub_block / 2) + (odd ? 16 : 0),
               Words4{{out[0], out[1], out[2], out[3]}});
  if (sub_block == 0)
    *reinterpret_cast<uint32_t*>(block) = block_scale | static_cast<uint32_t>(block_minimum) << 16;
  if (sub_block < 4) {
    block[4 + sub_block] = static_cast<uint8_t>(scale_code | (scale_above >> 4) << 6);
    block[8 + sub_block] = static_cast<uint8_t>(minimum_code | (minimum_above >> 4) << 6);
    block[12 + sub_block] = static_cast<uint8_t>((scale_above & 15u) | (minimum_above & 15u) << 4);
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
