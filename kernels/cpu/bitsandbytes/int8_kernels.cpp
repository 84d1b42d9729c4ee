// Compiled once for each instruction set.
#include "kernels/cpu/bitsandbytes/int8.h"

namespace precis::kernels {
namespace PRECIS_ISA {
namespace {

void quantize(WeightType weight_type, const void* weight, uint64_t columns, uint64_t row_begin,
              uint64_t row_end, int8_t* codes, float* scb) {
  with_type(weight_type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
      int32_t best = 0;
      for (uint64_t i = 0; i < columns; ++i) {
        const int32_t bits = std::bit_cast<int32_t>(F16::round(Type::load(values, i))) & 0x7fffffff;
        best = bits > best ? bits : best;
      }
      scb[row] = std::bit_cast<float>(best);
      // torch computes 127 / scb as the reciprocal times 127: two roundings.
      const float factor = (1.0f / scb[row]) * 127.0f;
      int8_t* out = codes + row * columns;
      for (uint64_t i = 0; i < columns; ++i) {
        const float scaled = F16::round(Type::load(values, i)) * factor;
        // A row of zeros or with an infinity gives NaN, which the library stores as 0.
        const float rounded = scaled == scaled ? round_to_even(scaled) : 0.0f;
        out[i] = static_cast<int8_t>(static_cast<int32_t>(rounded));
      }
    }
  });
}

void dequantize(const int8_t* codes, const float* scb, uint64_t columns, uint64_t row_begin,
                uint64_t row_end, WeightType out_type, void* out) {
  constexpr float kInverse127 = 0.007874015718698502f;
  with_type(out_type, [&](auto tag) {
    using Type = decltype(tag);
    auto* values = static_cast<typename Type::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const int8_t* in = codes + row * columns;
      auto* row_out = values + (row - row_begin) * columns;
      const float scale = scb[row];
      for (uint64_t i = 0; i < columns; ++i) {
        Type::store(row_out, i, (static_cast<float>(in[i]) * scale) * kInverse127);
      }
    }
  });
}

}  // namespace

const Int8RowKernels& int8_row_kernels() {
  static constexpr Int8RowKernels kernels{quantize, dequantize};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
