// Values of blocks with more values a scale than a table holds, or fewer columns: by way of a byte
// a code.
#pragma once

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/gguf/integer_k_blocks.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Decodes `count` blocks to numbers of Type.
template <typename Block, typename Type>
inline void decode_integers(const uint8_t* block, uint64_t count, typename Type::Stored* out) {
  constexpr uint64_t kGroups = Block::kSize / Block::kBlock;
  for (; count > 0; --count, block += Block::kBytes, out += Block::kSize) {
    alignas(64) uint8_t codes[Block::kSize];
    float scales[kGroups], minimums[kGroups];
    Block::decode(block, codes, scales, minimums);
    const auto value = [&](auto number, uint64_t i) {
      using Value = decltype(number);
      const Value scaled = number * all_of<Value>(scales[i / Block::kBlock]);
      if constexpr (!Block::kMinimums)
        return scaled;
      else
        return scaled + all_of<Value>(minimums[i / Block::kBlock]);
    };
#if PRECIS_LANES > 1
    for_each_line<Type>(
        Block::kSize,
        [&](uint64_t i) {
          return value(to_floats(Ints::load(codes + i) - Ints::of(Block::kOffset)), i);
        },
        [&](uint64_t i, Line line) { store(out + i, line); });
#else
    for (uint64_t i = 0; i < Block::kSize; ++i)
      Type::store(out, i, value(static_cast<float>(codes[i] - Block::kOffset), i));
#endif
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
