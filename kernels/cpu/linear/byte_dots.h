// Rows of bytes times few rows of activations of 8 bits, summed exactly.
#pragma once

#include <algorithm>

#include "kernels/cpu/linear/dot.h"
#include "kernels/cpu/linear/stages.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

// sums[w * kFewRows + i] = (weight[w] + kFlip) . x[i] for kWeights rows of the weight and kRows of
// x: some instructions want one side unsigned. Rows of x are loaded once for all rows of the
// weight; they come from the second-level cache.
#if defined(PRECIS_DOT_OF_FOUR)
template <int kWeights, int kRows>
[[gnu::noinline]] void byte_dots(const int8_t* weight, uint64_t stride, const int8_t* x,
                                 uint64_t x_stride, uint64_t count, int32_t* sums) {
  const Ints flip = broadcast(static_cast<int32_t>(DotBytes::kFlip * 0x01010101u));
  constexpr uint64_t kStep = sizeof(Ints);
  constexpr int kChains = kWeights == 1 ? 4 / std::min(kRows, 4) : 1;
  Ints dots[kChains][kWeights][kRows];
#pragma GCC unroll 4
  for (int chain = 0; chain < kChains; ++chain)
#pragma GCC unroll 4
    for (int w = 0; w < kWeights; ++w)
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) dots[chain][w][row] = Ints{};
  uint64_t at = 0;
  for (; at + kChains * kStep <= count; at += kChains * kStep) {
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) {
      const uint64_t here = at + static_cast<uint64_t>(chain) * kStep;
      Ints codes[kWeights];
#pragma GCC unroll 4
      for (int w = 0; w < kWeights; ++w)
        codes[w] = load<Ints>(weight + static_cast<uint64_t>(w) * stride + here) ^ flip;
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        const Ints words = load<Ints>(x + static_cast<uint64_t>(row) * x_stride + here);
#pragma GCC unroll 4
        for (int w = 0; w < kWeights; ++w) DotBytes::add(dots[chain][w][row], codes[w], words);
      }
    }
  }
#pragma GCC unroll 4
  for (int w = 0; w < kWeights; ++w) {
    const int8_t* rest = weight + static_cast<uint64_t>(w) * stride;
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      Ints dot = dots[0][w][row];
#pragma GCC unroll 4
      for (int chain = 1; chain < kChains; ++chain) dot += dots[chain][w][row];
      int32_t& sum = sums[w * static_cast<int>(kFewRows) + row];
      sum = sum_of(dot);
      for (uint64_t i = at; i < count; ++i)
        sum += (rest[i] + DotBytes::kFlip) * x[static_cast<uint64_t>(row) * x_stride + i];
    }
  }
}
#elif defined(__AVX2__)
inline Ints widened(const int8_t* codes) {
#if defined(__AVX512BW__)
  return Ints(_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
#else
  return Ints(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))));
#endif
}
template <int kWeights, int kRows>
[[gnu::noinline]] void byte_dots(const int8_t* weight, uint64_t stride, const int8_t* x,
                                 uint64_t x_stride, uint64_t count, int32_t* sums) {
  static_assert(DotBytes::kFlip == 0);
  constexpr uint64_t kStep = sizeof(Ints) / 2;
  constexpr uint64_t kChains = kRows == 1 ? 4 : kRows == 2 ? 2 : 1;
  for (uint64_t w = 0; w < kWeights; ++w) {
    const int8_t* codes = weight + w * stride;
    Ints dots[kChains][kRows] = {};
    uint64_t at = 0;
    for (; at + kChains * kStep <= count; at += kChains * kStep) {
#pragma GCC unroll 4
      for (uint64_t chain = 0; chain < kChains; ++chain) {
        const uint64_t here = at + chain * kStep;
        const Ints pairs = widened(codes + here);
#pragma GCC unroll 4
        for (uint64_t row = 0; row < kRows; ++row)
          DotBytes::add(dots[chain][row], pairs, widened(x + row * x_stride + here));
      }
    }
    for (uint64_t row = 0; row < kRows; ++row) {
      Ints dot = dots[0][row];
      for (uint64_t chain = 1; chain < kChains; ++chain) dot += dots[chain][row];
      int32_t& sum = sums[w * kFewRows + row];
      sum = sum_of(dot);
      for (uint64_t i = at; i < count; ++i) sum += codes[i] * x[row * x_stride + i];
    }
  }
}
#else
template <int kWeights, int kRows>
void byte_dots(const int8_t* weight, uint64_t stride, const int8_t* x, uint64_t x_stride,
               uint64_t count, int32_t* sums) {
  for (int w = 0; w < kWeights; ++w) {
    for (int row = 0; row < kRows; ++row) {
      const int8_t* codes = weight + static_cast<uint64_t>(w) * stride;
      const int8_t* words = x + static_cast<uint64_t>(row) * x_stride;
      int32_t sum = 0;
      for (uint64_t i = 0; i < count; ++i)
        sum += (static_cast<int16_t>(codes[i]) + DotBytes::kFlip) * static_cast<int16_t>(words[i]);
      sums[w * static_cast<int>(kFewRows) + row] = sum;
    }
  }
}
#endif

// Sums of blocks: sum += the products of the blocks' scales with the integer products of codes.
// `count` is a multiple of kColumnPad.
#if defined(__AVX512VNNI__)
template <uint64_t kBlock>
void add_blocks(const uint8_t* codes, const float* scales, const int8_t* x, const float* x_scales,
                uint64_t count, Floats& sum) {
  constexpr uint64_t kBlocksAtOnce = 64 / kBlock, kLanes = kWidth / kBlocksAtOnce;
  Ints expand;
  for (uint64_t lane = 0; lane < kWidth; ++lane) expand[lane] = static_cast<int>(lane / kLanes);
  Floats sums[2] = {};
  const uint64_t blocks = count / kBlock;
  for (uint64_t first = 0; first < blocks; first += kWidth) {
    const uint64_t here = std::min(kWidth, blocks - first);
    const auto mask = static_cast<__mmask16>((1u << here) - 1);
    const __m512 product = _mm512_maskz_mul_ps(mask, _mm512_maskz_loadu_ps(mask, scales + first),
                                               _mm512_maskz_loadu_ps(mask, x_scales + first));
    Ints index = expand;
    for (uint64_t block = 0; block < here; block += kBlocksAtOnce) {
      const uint64_t at = (first + block) * kBlock;
      Ints dot{};
      DotBytes::add(dot, load<Ints>(codes + at), load<Ints>(x + at));
      const auto factor = Floats(_mm512_permutexvar_ps(__m512i(index), product));
      Floats& into = sums[block / kBlocksAtOnce % 2];
      into = multiply_add(to_floats(dot), factor, into);
      index += static_cast<int>(kBlocksAtOnce);
    }
  }
  sum += sums[0] + sums[1];
}
#elif defined(PRECIS_DOT_OF_FOUR)
template <uint64_t kBlock>
void add_blocks(const uint8_t* codes, const float* scales, const int8_t* x, const float* x_scales,
                uint64_t count, Floats& sum) {
  Floats sums[2] = {};
  for (uint64_t block = 0; block < count / kBlock; ++block, codes += kBlock, x += kBlock) {
    Ints dot{};
#pragma GCC unroll 2
    for (uint64_t i = 0; i < kBlock; i += sizeof(Ints))
      DotBytes::add(dot, load<Ints>(codes + i), load<Ints>(x + i));
    Floats& into = sums[block % 2];
    into = multiply_add(to_floats(dot), broadcast(scales[block] * x_scales[block]), into);
  }
  sum += sums[0] + sums[1];
}
#else
template <uint64_t kBlock>
void add_blocks(const uint8_t* codes, const float* scales, const int8_t* x, const float* x_scales,
                uint64_t count, Floats& sum) {
  for (uint64_t block = 0; block < count / kBlock; ++block) {
    int32_t dot = 0;
    for (uint64_t i = block * kBlock; i < (block + 1) * kBlock; ++i)
      dot += static_cast<int16_t>(codes[i]) * static_cast<int16_t>(x[i]);
    sum[block % kWidth] += static_cast<float>(dot) * (scales[block] * x_scales[block]);
  }
}
#endif

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
