// Compiled once for each instruction set.
#include "kernels/cpu/groups/byte_rows.h"

#include "kernels/cpu/common/float8_words.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

template <typename Out>
void numbers_of(ByteNumber type, const uint8_t* codes, uint64_t count, typename Out::Stored* out) {
  const auto itself = [](auto value) { return value; };
  switch (type) {
    case ByteNumber::int8:
      return decode_bytes<SignedBytes, Out>(codes, count, itself, out);
    case ByteNumber::offset_int8:
      return decode_bytes<UnsignedBytes, Out>(
          codes, count, [](auto value) { return value - all_of<decltype(value)>(128); }, out);
    case ByteNumber::float8_e4m3fn:
      if constexpr (std::is_same_v<Out, ExactBF16>)
        return float8_e4m3fn_to_bfloat16(codes, count, out);
      return decode_bytes<Float8E4M3FN, Out>(codes, count, itself, out);
    case ByteNumber::float8_e5m2:
      return decode_bytes<Float8E5M2, Out>(codes, count, itself, out);
  }
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const ByteRows*>(format);
  const uint8_t* codes = weight.codes + row * weight.columns + begin;
  if (weight.out_type == WeightType::f32)
    return numbers_of<F32>(weight.type, codes, end - begin, static_cast<float*>(out));
  numbers_of<ExactBF16>(weight.type, codes, end - begin, static_cast<uint16_t*>(out));
}

#if defined(PRECIS_ROW_DOT)
struct SignedBytesOfRow {
  static constexpr float kShift = kIntegerShift;
  IntegerWords words;
};
struct OffsetBytesOfRow {
  static constexpr float kShift = kIntegerShift;
  IntegerWords words{0x80};
};
struct Float8OfRow {
  static constexpr float kShift = 0;
  float nan() const { return nan_of(words); }
  Float8E4M3FNWords words;
};
#if !defined(PRECIS_ROW_DOT_OF_BFLOAT16)
// float8 e5m2 is the upper byte of a float16, infinities and NaNs too.
struct Float8E5M2OfRow {
  static constexpr float kShift = 0;
  struct Words {
    Floats16 load(const uint8_t* codes) const {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
      const __m128i zero = _mm_setzero_si128();
      return {_mm256_cvtph_ps(_mm_unpacklo_epi8(zero, bytes)),
              _mm256_cvtph_ps(_mm_unpackhi_epi8(zero, bytes))};
    }
  } words;
};
#endif

template <typename Numbers>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns,
                            kSumColumns = Numbers::kShift == 0 ? 0 : kDotColumns;
  static constexpr float kFactor = IsFloat8<Numbers> ? kFloat8Factor : 1.0f;

  ByteRow(const ByteRows& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : codes(weight.codes + row * weight.columns + begin) {
    if constexpr (kSumColumns != 0)
      std::fill_n(strip.offsets, StripScales::kColumns / kSumColumns, -Numbers::kShift);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes(numbers.words, codes, to);
    codes += kDotColumns;
  }
  float nan() const requires IsFloat8<Numbers> { return numbers.nan(); }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<ByteRow>(*static_cast<const ByteRows*>(format), rows, x, sums);
  }

  Numbers numbers;
  const uint8_t* codes;
};

template <typename Numbers>
RowDot byte_dot() {
  return exact(row_dot_of<ByteRow<Numbers>>(byte_columns()));
}

RowDot row_dot(const ByteRows& weight) {
  if (weight.columns % kDotColumns != 0) return {};
  switch (weight.type) {
    case ByteNumber::int8:
      return byte_dot<SignedBytesOfRow>();
    case ByteNumber::offset_int8:
      return byte_dot<OffsetBytesOfRow>();
    case ByteNumber::float8_e4m3fn:
      return byte_dot<Float8OfRow>();
    case ByteNumber::float8_e5m2:
#if !defined(PRECIS_ROW_DOT_OF_BFLOAT16)
      return byte_dot<Float8E5M2OfRow>();
#else
      return {};
#endif
  }
  return {};
}
#else
RowDot row_dot(const ByteRows&) {
  return {};
}
#endif

}  // namespace

const ByteRowsKernels& byte_rows_kernels() {
  static constexpr ByteRowsKernels kernels{decode_floats, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
