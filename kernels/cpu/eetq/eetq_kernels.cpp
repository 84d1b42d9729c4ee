// Compiled once for each instruction set.
#include "kernels/cpu/eetq/eetq.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The place of each of 16 neighbouring columns.
constexpr uint64_t kPlace[16] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};

uint64_t place(uint64_t columns, uint64_t row, uint64_t column) {
  const uint64_t w = column / 16 * 16 + kPlace[column % 16];
  const uint64_t low = w & 3, exchanged = low == 1 ? 2 : low == 2 ? 1 : low;
  return row / 2 * 2 * columns + 128 * (w / 64) + 64 * (row % 2) + (w % 64 & ~uint64_t{3}) +
         exchanged;
}

// Nearest integer, halves away from zero, within int8; NaN, the quotient of a row of zeros, is 127.
int code_of(float quotient) {
  if (quotient != quotient || quotient > 127.0f) return 127;
  if (quotient < -128.0f) return -128;
  const int whole = static_cast<int>(quotient);
  const float rest = quotient - static_cast<float>(whole);
  const int code = rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole;
  return code > 127 ? 127 : code;
}

void quantize(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
              uint64_t row_end, uint8_t* codes, uint16_t* scales) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
      const float scale = F16::round(absmax_of<Type>(values, 0, columns)) * (1.0f / 128.0f);
      scales[row] = float_to_half(scale);
      for (uint64_t i = 0; i < columns; ++i) {
        const int code = code_of(F16::round(Type::load(values, i)) / scale);
        codes[place(columns, row, i)] = static_cast<uint8_t>(code + 128);
      }
    }
  });
}

void dequantize(const uint8_t* codes, const uint16_t* scales, uint64_t columns, uint64_t row_begin,
                uint64_t row_end, WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const float scale = half_to_float(scales[row]);
      auto* row_out = static_cast<typename Out::Stored*>(out) + (row - row_begin) * columns;
      for (uint64_t i = 0; i < columns; ++i) {
        const auto code = static_cast<float>(codes[place(columns, row, i)]) - 128.0f;
        Out::store(row_out, i, F16::round(code * scale));
      }
    }
  });
}

}  // namespace

const EetqKernels& eetq_kernels() {
  static constexpr EetqKernels kernels{quantize, dequantize};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
