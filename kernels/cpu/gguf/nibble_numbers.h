// What the 16 codes of GGUF's types of 4 bits stand for, before their scales.
#pragma once

#include "kernels/cpu/gguf/block_io.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

struct Numbers16 {
  alignas(64) float list[16];
};
constexpr Numbers16 numbers_of(const int8_t* values) {
  Numbers16 numbers{};
  for (int i = 0; i < 16; ++i) numbers.list[i] = static_cast<float>(values[i]);
  return numbers;
}
inline constexpr Numbers16 kIq4Numbers = numbers_of(kIq4Values);
inline constexpr Numbers16 kFp4Numbers = numbers_of(kFp4Values);
inline constexpr Numbers16 kNibblesAround8{
    {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
