// Compiled once for each instruction set. Decoding is bound by writing the values, encoding by its
// sums, whose order is part of the scale.
#include <cmath>

#include "kernels/cpu/bitnet/bitnet.h"
#include "kernels/cpu/common/decode_rows.h"
#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

template <typename Out>
class Rows {
 public:
  explicit Rows(const BitNetWeight& weight) : weight_(weight), table_(of_codes(weight)) {}

  void decode(uint64_t row, uint64_t begin, uint64_t count, typename Out::Stored* out) const {
    const uint8_t* bytes = weight_.codes + row % weight_.packed_rows * weight_.columns + begin;
    table_.look_up_plane(bytes, static_cast<int>(row / weight_.packed_rows * 2), 3, count, out);
  }

 private:
  static ValueTable<Out> of_codes(const BitNetWeight& weight) {
    float values[16];
    for (int i = 0; i < 16; ++i) values[i] = weight.values[i & 3];
    return ValueTable<Out>(values, [](auto value) { return value; });
  }

  const BitNetWeight& weight_;
  ValueTable<Out> table_;
};

void dequantize(const BitNetWeight& weight, uint64_t row_begin, uint64_t row_end,
                WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    const Rows<Out> rows(weight);
    decode_row_lines(static_cast<typename Out::Stored*>(out), row_begin, row_end, weight.columns,
                     [&](uint64_t row, uint64_t first, uint64_t count, auto* values) {
                       rows.decode(row, first, count, values);
                     });
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const Rows<F32> rows(*static_cast<const BitNetWeight*>(format));
  rows.decode(row, begin, end - begin, static_cast<float*>(out));
}

// Rows [row, row + kRows) side by side, so that the additions of one do not wait for each other.
template <typename Type, uint64_t kRows>
void sum_together(const typename Type::Stored* weight, uint64_t columns, uint64_t row,
                  double* sums) {
  double found[kRows] = {};
  for (uint64_t i = 0; i < columns; ++i) {
    for (uint64_t k = 0; k < kRows; ++k) {
      const float magnitude = std::fabs(Type::load(weight, (row + k) * columns + i));
      found[k] += magnitude < INFINITY ? magnitude : 0.0f;
    }
  }
  std::copy_n(found, kRows, sums + row);
}

void sum_rows(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
              uint64_t row_end, double* sums) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    uint64_t row = row_begin;
    for (; row + 8 <= row_end; row += 8) sum_together<Type, 8>(values, columns, row, sums);
    for (; row < row_end; ++row) sum_together<Type, 1>(values, columns, row, sums);
  });
}

unsigned code_of(float scaled) {
  if (scaled != scaled) return 1;
  const float bounded = scaled < -1.0f ? -1.0f : scaled > 1.0f ? 1.0f : scaled;
  return static_cast<unsigned>(round_to_even(bounded) + 1.0f);
}

template <typename Type>
void encode_row(const typename Type::Stored* const (&rows)[4], uint64_t columns, float scale,
                uint8_t* codes) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  const Floats one = Floats::of(1);
  for (; i + kLanes <= columns; i += kLanes) {
    Ints bytes = Ints::of(0);
    for (int k = 0; k < 4; ++k) {
      const Floats scaled = load_numbers<Type>(rows[k] + i) * Floats::of(scale);
      const Floats number = select(scaled == scaled, scaled, Floats::of(0));
      const Floats bounded = min(max(number, Floats::of(-1)), one);
      bytes = bytes | (truncate(nearest(bounded) + one) << 2 * k);
    }
    store_bytes(codes + i, bytes);
  }
#endif
  for (; i < columns; ++i) {
    unsigned byte = 0;
    for (unsigned k = 0; k < 4; ++k) byte |= code_of(Type::load(rows[k], i) * scale) << 2 * k;
    codes[i] = static_cast<uint8_t>(byte);
  }
}

void encode(WeightType type, const void* weight, uint64_t packed_rows, uint64_t columns,
            float scale, uint64_t begin, uint64_t end, uint8_t* codes) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = begin; row < end; ++row) {
      const typename Type::Stored* rows[4];
      for (uint64_t k = 0; k < 4; ++k)
        rows[k] =
            static_cast<const typename Type::Stored*>(weight) + (row + k * packed_rows) * columns;
      encode_row<Type>(rows, columns, scale, codes + row * columns);
    }
  });
}

}  // namespace

const BitNetKernels& bitnet_kernels() {
  static constexpr BitNetKernels kernels{dequantize, decode_floats, sum_rows, encode};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
