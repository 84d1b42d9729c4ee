// Compiled once for each instruction set.
//
// Bound by memory both ways; a row is read twice, the second time from a cache.
#include "kernels/cpu/bitsandbytes/int8.h"
#include "kernels/cpu/common/decode_rows.h"

#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The largest |float16(value)|; a NaN wins.
template <typename Type>
float largest_half(const typename Type::Stored* values, uint64_t columns) {
  int32_t best = 0;
  uint64_t i = 0;
#if PRECIS_LANES > 1
  // Two maxima, so that one need not wait for the other.
  Ints largest[2] = {Ints::of(0), Ints::of(0)};
  const auto magnitude = [&](uint64_t at) {
    return as_ints(round_through_half(load_numbers<Type>(values + at))) & Ints::of(0x7fffffff);
  };
  for (; i + 2 * kLanes <= columns; i += 2 * kLanes) {
    largest[0] = max(largest[0], magnitude(i));
    largest[1] = max(largest[1], magnitude(i + kLanes));
  }
  best = largest_of(max(largest[0], largest[1]));
#endif
  for (; i < columns; ++i) {
    const int32_t bits = std::bit_cast<int32_t>(F16::round(Type::load(values, i))) & 0x7fffffff;
    best = bits > best ? bits : best;
  }
  return std::bit_cast<float>(best);
}

// float16(value) * factor to the nearest integer, ties to even. A row of zeros or with an infinity
// gives NaN, which the library stores as 0.
template <typename Type>
void encode_row(const typename Type::Stored* values, uint64_t columns, float factor, int8_t* out) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= columns; i += kLanes) {
    const Floats scaled = round_through_half(load_numbers<Type>(values + i)) * Floats::of(factor);
    store_bytes(reinterpret_cast<uint8_t*>(out + i), truncate(nearest(scaled)));
  }
#endif
  for (; i < columns; ++i) {
    const float scaled = F16::round(Type::load(values, i)) * factor;
    const float rounded = scaled == scaled ? round_to_even(scaled) : 0.0f;
    out[i] = static_cast<int8_t>(truncate(rounded));
  }
}

void quantize(WeightType weight_type, const void* weight, uint64_t columns, uint64_t row_begin,
              uint64_t row_end, int8_t* codes, float* scb) {
  with_type(weight_type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
      scb[row] = largest_half<Type>(values, columns);
      // torch computes 127 / scb as the reciprocal times 127: two roundings.
      encode_row<Type>(values, columns, (1.0f / scb[row]) * 127.0f, codes + row * columns);
    }
  });
}

void decode_row(const int8_t* codes, uint64_t count, float scale, float* out) {
  constexpr float kInverse127 = 0.007874015718698502f;
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = to_floats(Ints::load(codes + i)) * Floats::of(scale);
    (value * Floats::of(kInverse127)).store(out + i);
  }
#endif
  for (; i < count; ++i) out[i] = (static_cast<float>(codes[i]) * scale) * kInverse127;
}

void dequantize(const int8_t* codes, const float* scb, uint64_t columns, uint64_t row_begin,
                uint64_t row_end, WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Type = decltype(tag);
    decode_rows<Type>(static_cast<typename Type::Stored*>(out), row_begin, row_end, columns,
                      [&](uint64_t row, uint64_t first, uint64_t count, float* values) {
                        decode_row(codes + row * columns + first, count, scb[row], values);
                      });
  });
}

}  // namespace

const Int8RowKernels& int8_row_kernels() {
  static constexpr Int8RowKernels kernels{quantize, dequantize};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
