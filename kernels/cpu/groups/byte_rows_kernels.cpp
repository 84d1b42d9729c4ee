// Compiled once for each instruction set.
#include "kernels/cpu/groups/byte_rows.h"

#include "kernels/cpu/common/float8_words.h"
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

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
// Four vectors of the numbers of 128 codes.
struct IntegerNumbers {
  IntegerWords words;
  [[gnu::always_inline]] void load(const uint8_t* codes, __m512i (&numbers)[4]) const {
    numbers[0] = words[codes];
    numbers[1] = words[codes + 32];
    numbers[2] = words[codes + 64];
    numbers[3] = words[codes + 96];
  }
};
struct SignedNumbers : IntegerNumbers {
  SignedNumbers() : IntegerNumbers{IntegerWords(true, 0)} {}
};
struct OffsetNumbers : IntegerNumbers {
  OffsetNumbers() : IntegerNumbers{IntegerWords(false, 128)} {}
};
struct Float8Numbers {
  const Float8E4M3FNWords& table = float8_e4m3fn_words();
  [[gnu::always_inline]] void load(const uint8_t* codes, __m512i (&numbers)[4]) const {
    __m512i halves[2];
    table.look_up(_mm512_loadu_si512(codes), halves);
    numbers[0] = halves[0];
    numbers[1] = halves[1];
    table.look_up(_mm512_loadu_si512(codes + 64), halves);
    numbers[2] = halves[0];
    numbers[3] = halves[1];
  }
};

template <typename Numbers>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;

  ByteRow(const ByteRows& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : codes(weight.codes + row * weight.columns + begin) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    __m512i words[4];
    numbers.load(codes, words);
    to.add(words[0], words[1], words[2], words[3]);
    codes += kDotColumns;
  }
  static void multiply(const void* format, std::span<const uint64_t> rows, const BFloat16Rows& x,
                       float* sums) {
    multiply_rows<ByteRow>(*static_cast<const ByteRows*>(format), rows, x, sums);
  }

  Numbers numbers;
  const uint8_t* codes;
};

RowDot row_dot(const ByteRows& weight) {
  if (weight.columns % kDotColumns != 0) return {};
  switch (weight.type) {
    case ByteNumber::int8:
      return {ByteRow<SignedNumbers>::multiply};
    case ByteNumber::offset_int8:
      return {ByteRow<OffsetNumbers>::multiply};
    case ByteNumber::float8_e4m3fn:
      return {ByteRow<Float8Numbers>::multiply};
    case ByteNumber::float8_e5m2:
      return {};
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
