// Encoding to NF4 and FP4, bit for bit as kernels/cpu/bitsandbytes: one warp for each block of
// `blocksize` elements. Bound by memory: the weight is read once from it and once from cache.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// A 4-bit code as the encoder needs it; kernels/cpu/bitsandbytes/codebooks.h has the fields.
struct FourBitEncoder {
  float bounds[15];
  uint8_t code_of_rank[16];
};

inline constexpr unsigned kQuantizeWarps = 4;

PRECIS_FUNCTION float clamp_to_unit(float value) {
  value = value < -1.0f ? -1.0f : value;
  return value > 1.0f ? 1.0f : value;
}

// The largest magnitude among elements [begin, end), by all lanes; a NaN wins. Magnitudes are in
// the order of their bits.
template <class Element>
PRECIS_FUNCTION float warp_absmax(const Element* weight, uint64_t begin, uint64_t end) {
  uint32_t best = 0;
  for (uint64_t i = begin + static_cast<unsigned>(lane()); i < end; i += kWarp) {
    const uint32_t bits = bits_as<uint32_t>(to_float(weight[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  return bits_as<float>(warp_max(best));
}

// packed[(n + 1) / 2], absmax[blocks]. blocksize is even.
template <class Element>
__global__ void __launch_bounds__(kQuantizeWarps* kWarp)
    quantize_four_bit_kernel(PRECIS_PARAMETER FourBitEncoder encoder, const Element* weight,
                             uint64_t n, uint32_t blocksize, uint8_t* packed, float* absmax) {
  using Codes = uint8_t[16];
  PRECIS_SHARED(Codes, code_of_rank);
  if (threadIdx.x < 16) code_of_rank[threadIdx.x] = encoder.code_of_rank[threadIdx.x];
  __syncthreads();
  const uint64_t block = uint64_t{blockIdx.x} * kQuantizeWarps + static_cast<unsigned>(warp());
  const uint64_t begin = block * blocksize;
  if (begin >= n) return;
  const uint64_t end = begin + blocksize < n ? begin + blocksize : n;
  const bool full = end - begin == blocksize;
  const float largest = warp_absmax(weight, begin, end);
  constexpr float kSmallest = 1e-38f;
  const float clamped = largest < kSmallest ? kSmallest : largest;
  // The library stores the clamped value for a ragged block only, and divides there where it
  // multiplies by the reciprocal in full ones.
  if (lane() == 0) absmax[block] = full ? largest : clamped;
  const float inverse = 1.0f / clamped;
  for (uint64_t i = begin + 2 * static_cast<unsigned>(lane()); i < end; i += 2 * kWarp) {
    float x[2] = {};
    if (i + 1 < end)
      load_2(weight + i, x);
    else
      x[0] = to_float(weight[i]);
    uint32_t nibbles[2];
    PRECIS_UNROLL
    for (unsigned j = 0; j < 2; ++j) {
      const float scaled = clamp_to_unit(full ? x[j] * inverse : x[j] / clamped);
      uint32_t rank = 0;
      PRECIS_UNROLL
      for (int bound = 0; bound < 15; ++bound) rank += !(scaled <= encoder.bounds[bound]) ? 1u : 0u;
      nibbles[j] = code_of_rank[rank];
    }
    packed[i / 2] = static_cast<uint8_t>(nibbles[0] << 4 | nibbles[1]);
  }
}

template <class Element>
const char* launch_quantize_four_bit(const FourBitEncoder& encoder, const Element* weight,
                                     uint64_t n, uint32_t blocksize, uint8_t* packed, float* absmax,
                                     void* stream) {
  if (n == 0) return nullptr;
  const uint64_t blocks = (n + blocksize - 1) / blocksize;
  const dim3 grid(static_cast<unsigned>((blocks + kQuantizeWarps - 1) / kQuantizeWarps));
  return PRECIS_LAUNCH((quantize_four_bit_kernel<Element>), grid, dim3(kQuantizeWarps * kWarp), 0,
                       stream, encoder, weight, n, blocksize, packed, absmax);
}

// absmax[count] from its own 8-bit codes: codebook[code] * nested_absmax + offset.
static __global__ void __launch_bounds__(256)
    dequantize_absmax_kernel(const uint8_t* codes, const float* nested_absmax,
                             const float* codebook, float offset, uint32_t nested_blocksize,
                             uint64_t count, float* absmax) {
  const uint64_t i = uint64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i < count) absmax[i] = codebook[codes[i]] * nested_absmax[i / nested_blocksize] + offset;
}

}  // namespace precis::kernels::PRECIS_DEVICE
