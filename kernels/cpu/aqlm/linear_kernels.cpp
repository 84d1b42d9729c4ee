// Compiled once for each instruction set. Bound by the reads of codewords, 8 columns each; those of
// codes of 8 bits are in the first-level cache, of 16 bits in the second.
#include "kernels/cpu/aqlm/linear.h"

#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)

constexpr uint64_t kInGroup = 8;

// Hands `to` the 16 codewords(i) of kDotColumns.
#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
template <typename Codeword, typename To>
[[gnu::always_inline]] inline void add_codewords(Codeword codeword, float scale, To to) {
  const auto four = [&](uint64_t first) {
    const __m512i two =
        _mm512_inserti32x4(_mm512_castsi128_si512(codeword(first)), codeword(first + 1), 1);
    return _mm512_inserti32x4(_mm512_inserti32x4(two, codeword(first + 2), 2), codeword(first + 3),
                              3);
  };
  to.add(four(0), four(4), four(8), four(12), _mm512_set1_ps(scale));
}
#else
template <typename Codeword, typename To>
[[gnu::always_inline]] inline void add_codewords(Codeword codeword, float scale, To to) {
  const auto numbers = [&](uint64_t i) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(codeword(i)), 16));
  };
  auto dots = to.dots();
#pragma GCC unroll 8
  for (uint64_t i = 0; i < kDotColumns / kInGroup; i += 2)
    dots.add(i * kInGroup, numbers(i), numbers(i + 1));
  to.add(dots, _mm256_set1_ps(scale));
}
#endif

// Codewords of bfloat16 meet x one by one: their sums are not rounded.
template <typename Code>
struct CodewordRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;
  static constexpr bool kEightRows = true;

  CodewordRow(const AqlmProductWeight& product, uint64_t row, uint64_t begin, uint64_t,
              StripScales&)
      : weight(product.weight),
        codes(static_cast<const Code*>(weight.codes) + row * weight.out_stride +
              begin / kInGroup * weight.in_stride),
        scale(BF16::load(static_cast<const uint16_t*>(weight.scales), row)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const auto* words = static_cast<const uint16_t*>(weight.codebooks);
    for (uint64_t book = 0; book < weight.shape.codebooks; ++book) {
      const auto codeword = [&](uint64_t i) {
        const uint64_t code = codes[i * weight.in_stride + book];
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(words + code * kInGroup));
      };
      add_codewords(codeword, scale, to);
      words += weight.shape.codewords() * kInGroup;
    }
    codes += kDotColumns / kInGroup * weight.in_stride;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<CodewordRow>(*static_cast<const AqlmProductWeight*>(format), rows, x, sums);
  }

  const AqlmWeight& weight;
  const Code* codes;
  float scale;
};

RowDot row_dot(const AqlmWeight& weight) {
  const AqlmShape& shape = weight.shape;
  if (weight.type != WeightType::bf16 || shape.out_group != 1 || shape.in_group != kInGroup ||
      shape.columns % kDotColumns != 0)
    return {};
  if (shape.bits == 8) return row_dot_of<CodewordRow<uint8_t>>(nullptr);
  if (shape.bits == 16) return row_dot_of<CodewordRow<uint16_t>>(nullptr);
  return {};
}

#else
RowDot row_dot(const AqlmWeight&) {
  return {};
}
#endif

}  // namespace

const AqlmLinearKernels& aqlm_linear_kernels() {
  static constexpr AqlmLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
