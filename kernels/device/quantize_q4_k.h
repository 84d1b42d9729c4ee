// Encoding to GGUF's Q4_K, bit for bit as kernels/cpu/gguf without an importance matrix.
#pragma once

#include "kernels/device/gguf_search.h"

namespace precis::kernels::PRECIS_DEVICE {

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
  const SubBlockFit fit = fit_sub_block<15>(x);
  const float largest_scale = largest_of_lanes<8>(fit.scale),
              largest_minimum = largest_of_lanes<8>(fit.minimum);
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
      const int code = scale == 0 ? fit.code<15>(value)
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
