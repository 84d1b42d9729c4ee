// Compiled once for each instruction set.
#include "kernels/cpu/groups/byte_rows.h"

#include "kernels/cpu/common/float8_words.h"

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

}  // namespace

const ByteRowsKernels& byte_rows_kernels() {
  static constexpr ByteRowsKernels kernels{decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
