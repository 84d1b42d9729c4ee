// Encoding to GGUF's Q1_0, bit for bit as kernels/cpu/gguf: the signs of 128 numbers and the mean
// of their magnitudes.
#pragma once

#include "kernels/device/gguf_search.h"

namespace precis::kernels::PRECIS_DEVICE {

struct alignas(2) SignBlock {
  static constexpr uint32_t kElements = 128, kBytes = 18;
  uint16_t mean, signs[8];
};

// A block a thread, since magnitudes are added in the order of the columns; blocks meet in shared
// memory, from where neighbouring threads write neighbouring numbers. Bound by memory: of a sector
// a thread loads a part at a time, the rest is in cache.
template <class Element>
__global__ void __launch_bounds__(kGgufThreads)
    quantize_signs_kernel(const Element* weight, uint64_t count, uint16_t* blocks) {
  using Blocks = SignBlock[kGgufThreads];
  PRECIS_SHARED(Blocks, found_blocks);
  const uint64_t first = uint64_t{blockIdx.x} * kGgufThreads;
  const uint32_t together =
      count - first < kGgufThreads ? static_cast<uint32_t>(count - first) : kGgufThreads;
  if (threadIdx.x < together) {
    const Element* row = weight + (first + threadIdx.x) * SignBlock::kElements;
    float sum = 0;
    for (uint32_t i = 0; i < SignBlock::kElements; i += 16) {
      uint32_t signs = 0;
      PRECIS_UNROLL
      for (uint32_t half = 0; half < 16; half += 8) {
        float eight[8];
        load_8(row + i + half, eight);
        PRECIS_UNROLL
        for (uint32_t k = 0; k < 8; ++k) {
          sum += magnitude_of(eight[k]);
          signs |= (eight[k] >= 0 ? 1u : 0u) << (half + k);
        }
      }
      found_blocks[threadIdx.x].signs[i / 16] = static_cast<uint16_t>(signs);
    }
    found_blocks[threadIdx.x].mean = half_bits(sum / static_cast<float>(SignBlock::kElements));
  }
  __syncthreads();
  constexpr uint32_t kNumbers = SignBlock::kBytes / 2;
  for (uint32_t i = threadIdx.x; i < together * kNumbers; i += kGgufThreads) {
    const SignBlock& block = found_blocks[i / kNumbers];
    const uint32_t at = i % kNumbers;
    blocks[first * kNumbers + i] = at == 0 ? block.mean : block.signs[at - 1];
  }
}

template <class Element>
const char* launch_quantize_signs(const Element* weight, uint64_t count, uint8_t* blocks,
                                  void* stream) {
  return PRECIS_LAUNCH((quantize_signs_kernel<Element>),
                       dim3(static_cast<unsigned>((count + kGgufThreads - 1) / kGgufThreads)),
                       dim3(kGgufThreads), 0, stream, weight, count,
                       reinterpret_cast<uint16_t*>(blocks));
}

}  // namespace precis::kernels::PRECIS_DEVICE
