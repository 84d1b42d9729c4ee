// Compiled once for each instruction set. Bound by the reads of codewords, 8 columns each; those of
// codes of 8 bits are in the first-level cache, of 16 bits in the second.
#include "kernels/cpu/aqlm/linear.h"

#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

constexpr uint64_t kInGroup = 8;

// Codewords of bfloat16 meet x one by one: their sums are not rounded.
template <typename Code>
struct CodewordRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;
  static constexpr bool kLooksUp = true;

  CodewordRow(const AqlmProductWeight& product, uint64_t row, uint64_t begin, uint64_t,
              StripScales&)
      : weight(product.weight),
        codes(static_cast<const Code*>(weight.codes) + row * weight.out_stride +
              begin / kInGroup * weight.in_stride),
        scale(_mm512_set1_ps(BF16::load(static_cast<const uint16_t*>(weight.scales), row))) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const auto* words = static_cast<const uint16_t*>(weight.codebooks);
    for (uint64_t book = 0; book < weight.shape.codebooks; ++book) {
      const auto four = [&](uint64_t first) {
        const auto codeword = [&](uint64_t i) {
          const uint64_t code = codes[(first + i) * weight.in_stride + book];
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(words + code * kInGroup));
        };
        const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(codeword(0)), codeword(1), 1);
        return _mm512_inserti32x4(_mm512_inserti32x4(two, codeword(2), 2), codeword(3), 3);
      };
      To here = to;
      here.add(four(0), four(4), four(8), four(12), scale);
      words += weight.shape.codewords() * kInGroup;
    }
    codes += kDotColumns / kInGroup * weight.in_stride;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const BFloat16Rows& x,
                       float* sums) {
    multiply_rows<CodewordRow>(*static_cast<const AqlmProductWeight*>(format), rows, x, sums);
  }

  const AqlmWeight& weight;
  const Code* codes;
  __m512 scale;
};

RowDot row_dot(const AqlmWeight& weight) {
  const AqlmShape& shape = weight.shape;
  if (weight.type != WeightType::bf16 || shape.out_group != 1 || shape.in_group != kInGroup ||
      shape.columns % kDotColumns != 0)
    return {};
  if (shape.bits == 8) return {CodewordRow<uint8_t>::multiply};
  if (shape.bits == 16) return {CodewordRow<uint16_t>::multiply};
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
