// How GGUF's types whose blocks are encoded by sub-blocks find their scales and pack their codes,
// bit for bit as kernels/cpu/gguf without an importance matrix.
#pragma once

#include "kernels/device/gguf_search.h"

namespace precis::kernels::PRECIS_DEVICE {

// A block on its way to memory: codes from 0 on, the scales of its sub-blocks as stored, its own.
template <uint32_t Elements, uint32_t Size>
struct alignas(16) GgufBlockCodes {
  uint8_t codes[Elements];
  uint8_t scales[Elements / Size], minimums[Elements / Size];
  uint16_t scale, minimum;

  PRECIS_FUNCTION uint32_t scale_byte(uint32_t i) const { return scale >> (8 * i) & 0xffu; }
  PRECIS_FUNCTION uint32_t minimum_byte(uint32_t i) const { return minimum >> (8 * i) & 0xffu; }
  // One bit or some of the codes at first, first + step ..., the first lowest.
  PRECIS_FUNCTION uint32_t planes(uint32_t first, uint32_t step, uint32_t count, uint32_t shift,
                                  uint32_t bits) const {
    uint32_t packed = 0;
    for (uint32_t i = 0; i < count; ++i)
      packed |= (codes[first + i * step] >> shift & ((1u << bits) - 1)) << (i * bits);
    return packed;
  }
};

struct GgufFound {
  float scale, minimum;
};
struct GgufStored {
  float scale, minimum;
  bool empty = false;  // the block is all zeros
};

PRECIS_FUNCTION int code_in_steps(float x, const GgufStored& stored, int low, int high) {
  return clamp_int(nearest_int((x + stored.minimum) / stored.scale), low, high) - low;
}

// A type has kElements of a block, kSize of a sub-block and kBytes; search(x, codes), which leaves
// the codes it found; scales(), which the threads of a block call together, whose first stores the
// scale of the block; code(), where the stored scale is not 0, elsewhere the codes of the search
// stay; and byte(codes, i) of the block.
template <class Type, class Element>
__global__ void __launch_bounds__(kGgufThreads)
    quantize_sub_blocks_kernel(const Element* weight, uint64_t count, uint8_t* blocks) {
  constexpr uint32_t kSubBlocks = Type::kElements / Type::kSize;
  constexpr uint32_t kTogether = kGgufThreads / kSubBlocks;
  using Blocks = typename Type::Codes[kTogether];
  PRECIS_SHARED(Blocks, found_blocks);
  const uint64_t first = uint64_t{blockIdx.x} * kTogether;
  const uint32_t here = threadIdx.x / kSubBlocks, sub = threadIdx.x % kSubBlocks;
  // Threads beyond the last block take part with the last's data.
  const uint64_t block = first + here < count ? first + here : count - 1;
  float x[Type::kSize];
  PRECIS_UNROLL
  for (uint32_t i = 0; i < Type::kSize; i += 8) {
    float eight[8];
    load_8(weight + block * Type::kElements + sub * Type::kSize + i, eight);
    PRECIS_UNROLL
    for (uint32_t k = 0; k < 8; ++k) x[i + k] = eight[k];
  }
  uint32_t codes[Type::kSize];
  const GgufFound found = Type::search(x, codes);
  const GgufStored stored = Type::scales(found, sub, found_blocks[here]);
  PRECIS_UNROLL
  for (uint32_t i = 0; i < Type::kSize; i += 16) {
    Words4 words{};
    PRECIS_UNROLL
    for (uint32_t k = 0; k < 16; ++k) {
      const uint32_t code =
          stored.scale == 0 ? codes[i + k] : static_cast<uint32_t>(Type::code(x[i + k], stored));
      words.words[k / 4] |= (stored.empty ? 0u : code) << (8 * (k % 4));
    }
    store_vector(&found_blocks[here].codes[sub * Type::kSize + i], words);
  }
  __syncthreads();
  const uint64_t left = count - first;
  const uint32_t bytes =
      (left < kTogether ? static_cast<uint32_t>(left) : kTogether) * Type::kBytes;
  for (uint32_t i = threadIdx.x; i < bytes; i += kGgufThreads)
    blocks[first * Type::kBytes + i] =
        static_cast<uint8_t>(Type::byte(found_blocks[i / Type::kBytes], i % Type::kBytes));
}

template <class Type, class Element>
const char* launch_quantize_sub_blocks(const Element* weight, uint64_t count, uint8_t* blocks,
                                       void* stream) {
  constexpr unsigned kTogether = kGgufThreads / (Type::kElements / Type::kSize);
  return PRECIS_LAUNCH((quantize_sub_blocks_kernel<Type, Element>),
                       dim3(static_cast<unsigned>((count + kTogether - 1) / kTogether)),
                       dim3(kGgufThreads), 0, stream, weight, count, blocks);
}

}  // namespace precis::kernels::PRECIS_DEVICE
