// Compiled once for each instruction set.
#include <vector>

#include "kernels/cpu/awq/layouts.h"
#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Of this namespace alone, so that containers of it are no symbols that instruction sets share.
struct Affine {
  float scale, zero;
};
struct Code {
  uint8_t value;
};

struct Range {
  float low, high;
  void add(float value) {
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
};

// NaNs count only as the first of the values.
Range range_of(const float* values, uint64_t count) {
  Range range{values[0], values[0]};
  uint64_t i = 0;
#if PRECIS_LANES > 1
  Floats low = Floats::of(values[0]), high = low;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats here = Floats::load(values + i);
    low = min(here, low);
    high = max(here, high);
  }
  if (any_nan(low, high)) return range;  // the first
  range.add(smallest_of(low));
  range.add(largest_of(high));
#endif
  for (; i < count; ++i) range.add(values[i]);
  return range;
}

Affine group_parameters(const float* values, uint64_t count) {
  const auto [low, high] = range_of(values, count);
  const float smallest = F16::round(1e-5f), range = F16::round(high - low);
  const float scale = F16::round((range < smallest ? smallest : range) / 15.0f);
  const float quotient = F16::round(low / scale);
  const float bounded = quotient < -1024.0f ? -1024.0f : quotient > 1024.0f ? 1024.0f : quotient;
  const float zero = quotient == quotient ? -round_to_even(bounded) : 0.0f;
  return {scale, zero < 0 ? 0.0f : zero > 15.0f ? 15.0f : zero};
}

Code code_of(float value, const Affine& group) {
  const float quotient = F16::round(value / group.scale);
  const float bounded = quotient < -1024.0f ? -1024.0f : quotient > 1024.0f ? 1024.0f : quotient;
  const float code = (quotient == quotient ? round_to_even(bounded) : 0.0f) + group.zero;
  return {static_cast<uint8_t>(code < 0 ? 0.0f : code > 15.0f ? 15.0f : code)};
}

void codes_of(const float* values, uint64_t count, const Affine& group, Code* codes) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  const Floats zero = Floats::of(group.zero), none = Floats::of(0);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats quotient = round_as<F16>(Floats::load(values + i) / Floats::of(group.scale));
    const Floats bounded = min(Floats::of(1024.0f), max(Floats::of(-1024.0f), quotient));
    const Floats code = select(quotient == quotient, round_to_even(bounded), none) + zero;
    store_bytes(&codes[i].value, truncate(min(Floats::of(15.0f), max(none, code))));
  }
#endif
  for (; i < count; ++i) codes[i] = code_of(values[i], group);
}

template <typename Type>
void round_to_halves(const typename Type::Stored* in, uint64_t count, float* values) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes)
    round_as<F16>(load_numbers<Type>(in + i)).store(values + i);
#endif
  for (; i < count; ++i) values[i] = F16::round(Type::load(in, i));
}

// Scales and zero points of rows [row, row + kWordRows).
void store_gemm_groups(const AwqShape& shape, uint64_t row, const Affine* groups, uint32_t* qzeros,
                       uint16_t* scales) {
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint32_t word = 0;
    for (uint64_t i = 0; i < kWordRows; ++i) {
      const Affine& affine = groups[i * shape.groups() + group];
      word |= static_cast<uint32_t>(affine.zero) << (4 * kNibbleOfRow[i]);
      scales[group * shape.rows + row + i] = float_to_half(affine.scale);
    }
    qzeros[group * (shape.rows / kWordRows) + row / kWordRows] = word;
  }
}

// Of one row.
void store_gemv_groups(const AwqShape& shape, uint64_t row, const Affine* groups, uint32_t* qzeros,
                       uint16_t* scales) {
  const uint64_t width = shape.zero_width();
  for (uint64_t word = 0; word < width; ++word) {
    uint32_t packed = 0;
    for (uint64_t i = 0; i < 8; ++i) {
      const uint64_t group = 8 * word + i;
      const Affine affine = group < shape.groups() ? groups[group] : Affine{0, 0};
      packed |= static_cast<uint32_t>(affine.zero) << (4 * i);
      scales[row * 8 * width + group] = float_to_half(affine.scale);
    }
    qzeros[row * width + word] = packed;
  }
}

void store_fast_groups(const AwqShape& shape, uint64_t row, const Affine* groups, uint16_t* zeros,
                       uint16_t* scales) {
  for (uint64_t group = 0; group < 8 * shape.zero_width(); ++group) {
    for (uint64_t i = 0; i < kWordRows; ++i) {
      const Affine affine =
          group < shape.groups() ? groups[i * shape.groups() + group] : Affine{0, 0};
      const uint64_t at = group * shape.rows + row + i;
      scales[at] = float_to_half(affine.scale);
      zeros[at] = group < shape.groups() ? float_to_half(-(affine.scale * affine.zero)) : 0;
    }
  }
}

// Of `rows` rows from `row` on, whole eights.
void store_groups(AwqLayout layout, const AwqShape& shape, uint64_t row, uint64_t rows,
                  const Affine* groups, void* qzeros, uint16_t* scales) {
  for (uint64_t i = 0; i < rows; i += layout == AwqLayout::gemv ? 1 : kWordRows) {
    const Affine* here = groups + i * shape.groups();
    if (layout == AwqLayout::gemm)
      store_gemm_groups(shape, row + i, here, static_cast<uint32_t*>(qzeros), scales);
    else if (layout == AwqLayout::gemv)
      store_gemv_groups(shape, row + i, here, static_cast<uint32_t*>(qzeros), scales);
    else
      store_fast_groups(shape, row + i, here, static_cast<uint16_t*>(qzeros), scales);
  }
}

// parameters(row, group, its values) gives scale and zero point.
template <typename Parameters>
void quantize_by(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
                 uint64_t row_begin, uint64_t row_end, void* qweight, void* qzeros,
                 uint16_t* scales, Parameters&& parameters) {
  struct Value {
    float value;
  };
  const uint64_t padded = (shape.columns + 7) / 8 * 8, row_bytes = padded / 2;
  const uint64_t together = std::min(kBlockRows, row_end - row_begin);
  std::vector<Value> values(shape.columns);
  std::vector<Code> codes(padded), packed(layout == AwqLayout::gemm ? together * row_bytes : 0);
  std::vector<Affine> groups(together * shape.groups());
  for (uint64_t block = row_begin; block < row_end; block += together) {
    const uint64_t rows = std::min(together, row_end - block);
    for (uint64_t i = 0; i < rows; ++i) {
      const uint64_t row = block + i;
      with_type(type, [&](auto tag) {
        using Type = decltype(tag);
        round_to_halves<Type>(
            static_cast<const typename Type::Stored*>(weight) + row * shape.columns, shape.columns,
            &values[0].value);
      });
      for (uint64_t group = 0; group < shape.groups(); ++group) {
        const float* first = &values[group * shape.group_size].value;
        const Affine affine = parameters(row, group, first);
        groups[i * shape.groups() + group] = affine;
        codes_of(first, shape.group_size, affine, &codes[group * shape.group_size]);
      }
      const uint8_t* row_codes = &codes[0].value;
      if (layout == AwqLayout::gemm)
        pack_bit_fields(4, row_codes, padded, &packed[i * row_bytes].value);
      else if (layout == AwqLayout::gemv)
        pack_bit_fields(4, row_codes, padded, static_cast<uint8_t*>(qweight) + row * row_bytes);
      else
        store_fast_row(row_codes, shape.columns,
                       static_cast<uint16_t*>(qweight) + row / 4 * shape.columns + row % 4 * 16);
    }
    if (layout == AwqLayout::gemm)
      store_gemm_rows(shape, block, rows, &packed[0].value, row_bytes,
                      static_cast<uint32_t*>(qweight));
    store_groups(layout, shape, block, rows, groups.data(), qzeros, scales);
  }
}

void store_codes(AwqShape shape, const uint8_t* codes, uint64_t row_begin, uint64_t row_end,
                 uint32_t* qweight) {
  const uint64_t padded = (shape.columns + 7) / 8 * 8, row_bytes = padded / 2;
  const uint64_t together = std::min(kBlockRows, row_end - row_begin);
  std::vector<Code> nibbles(padded), packed(together * row_bytes);
  for (uint64_t block = row_begin; block < row_end; block += together) {
    const uint64_t rows = std::min(together, row_end - block);
    for (uint64_t i = 0; i < rows; ++i, codes += shape.columns) {
      for (uint64_t column = 0; column < shape.columns; ++column)
        nibbles[column].value = codes[column] & 15;
      pack_bit_fields(4, &nibbles[0].value, padded, &packed[i * row_bytes].value);
    }
    store_gemm_rows(shape, block, rows, &packed[0].value, row_bytes, qweight);
  }
}

void quantize(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
              uint64_t row_begin, uint64_t row_end, void* qweight, void* qzeros, uint16_t* scales) {
  quantize_by(type, weight, layout, shape, row_begin, row_end, qweight, qzeros, scales,
              [&](uint64_t, uint64_t, const float* values) {
                return group_parameters(values, shape.group_size);
              });
}

void quantize_on(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
                 const float* given_scales, const int32_t* given_zeros, uint64_t row_begin,
                 uint64_t row_end, void* qweight, void* qzeros, uint16_t* scales) {
  quantize_by(type, weight, layout, shape, row_begin, row_end, qweight, qzeros, scales,
              [&](uint64_t row, uint64_t group, const float*) {
                const uint64_t i = row * shape.groups() + group;
                return Affine{given_scales[i], static_cast<float>(given_zeros[i])};
              });
}

template <typename Scale>
Affine affine_at(AwqLayout layout, const AwqShape& shape, const void* qzeros,
                 const typename Scale::Stored* scales, uint64_t row, uint64_t group) {
  const auto* words = static_cast<const uint32_t*>(qzeros);
  if (layout == AwqLayout::gemv) {
    const uint64_t width = shape.zero_width();
    const uint32_t word = words[row * width + group / 8];
    return {Scale::load(scales, row * 8 * width + group),
            static_cast<float>(word >> (4 * (group % 8)) & 15)};
  }
  const float scale = Scale::load(scales, group * shape.rows + row);
  if (layout == AwqLayout::gemv_fast) {
    const auto* zeros = static_cast<const typename Scale::Stored*>(qzeros);
    return {scale, Scale::load(zeros, group * shape.rows + row)};
  }
  const uint32_t word = words[group * (shape.rows / 8) + row / 8];
  return {scale, static_cast<float>((word >> (4 * kNibbleOfRow[row % 8]) & 15) ^ shape.sign)};
}

void read_groups(AwqLayout layout, AwqShape shape, const void* qzeros, WeightType scale_type,
                 const void* scales, float* scale_of, int32_t* zero_of) {
  with_type(scale_type, [&](auto tag) {
    using Scale = decltype(tag);
    const auto* stored = static_cast<const typename Scale::Stored*>(scales);
    for (uint64_t row = 0; row < shape.rows; ++row) {
      for (uint64_t group = 0; group < shape.groups(); ++group) {
        const Affine found = affine_at<Scale>(layout, shape, qzeros, stored, row, group);
        const float zero = layout == AwqLayout::gemv_fast ? -found.zero / found.scale : found.zero;
        const uint64_t at = row * shape.groups() + group;
        scale_of[at] = found.scale;
        zero_of[at] = zero > 0.0f && zero < 16.0f ? static_cast<int32_t>(round_to_even(zero)) : 0;
      }
    }
  });
}

// Rows [row_begin, row_end) to packed[row - row_begin][columns / 2], bytes of two codes, the first
// in the low half.
void pack_block(AwqLayout layout, const AwqShape& shape, const void* qweight, uint64_t row_begin,
                uint64_t row_end, uint8_t* packed) {
  const uint64_t row_bytes = shape.columns / 2;
  if (layout == AwqLayout::gemv) {
    std::memcpy(packed, static_cast<const uint8_t*>(qweight) + row_begin * row_bytes,
                (row_end - row_begin) * row_bytes);
    return;
  }
  for (uint64_t row = row_begin; row < row_end;
       row += kBlockRows, packed += kBlockRows * row_bytes) {
    const uint64_t end = std::min(row_end, row + kBlockRows);
    if (layout == AwqLayout::gemm) {
      load_gemm_rows(shape, static_cast<const uint32_t*>(qweight), row, end, packed);
      continue;
    }
    for (uint64_t i = row; i < end; ++i)
      load_fast_row(static_cast<const uint16_t*>(qweight) + i / 4 * shape.columns + i % 4 * 16,
                    shape.columns, packed + (i - row) * row_bytes);
  }
}

void pack_rows(AwqLayout layout, AwqShape shape, const void* qweight, uint64_t row_begin,
               uint64_t row_end, uint8_t* codes) {
  pack_block(layout, shape, qweight, row_begin, row_end, codes + row_begin * shape.columns / 2);
}

// number * scale, of numbers less the zero point, or plus zero * scale, which gemv_fast stores.
template <typename Scale>
struct GroupValue {
  Affine affine;
  bool adds_zero;
  template <typename Value>
  Value operator()(Value number) const {
    const Value scale = all_of<Value>(affine.scale), zero = all_of<Value>(affine.zero);
    return round_as<Scale>(adds_zero ? number * scale + zero : (number - zero) * scale);
  }
};

void dequantize(AwqLayout layout, AwqShape shape, const void* qweight, const void* qzeros,
                WeightType scale_type, const void* scales, uint64_t row_begin, uint64_t row_end,
                WeightType out_type, void* out) {
  std::vector<uint8_t> packed(std::min(kBlockRows, row_end - row_begin) * shape.columns / 2);
  with_types(scale_type, out_type, [&](auto scale_tag, auto out_tag) {
    using Scale = decltype(scale_tag);
    using Out = decltype(out_tag);
    auto* to = static_cast<typename Out::Stored*>(out);
    for (uint64_t begin = row_begin; begin < row_end; begin += kBlockRows) {
      const uint64_t end = std::min(row_end, begin + kBlockRows);
      pack_block(layout, shape, qweight, begin, end, packed.data());
      for (uint64_t row = begin; row < end; ++row) {
        const uint8_t* codes = packed.data() + (row - begin) * shape.columns / 2;
        for (uint64_t group = 0; group < shape.groups(); ++group) {
          const Affine affine =
              affine_at<Scale>(layout, shape, qzeros,
                               static_cast<const typename Scale::Stored*>(scales), row, group);
          const uint64_t first = group * shape.group_size;
          ValueTable<Out>(kUnsignedNibbles,
                          GroupValue<Scale>{affine, layout == AwqLayout::gemv_fast})
              .look_up_nibbles(codes + first / 2, shape.group_size, to + first);
        }
        to += shape.columns;
      }
    }
  });
}

void read_affine(AwqLayout layout, AwqShape shape, const void* qzeros, WeightType scale_type,
                 const void* scales, float* scale_of, float* zero_of) {
  with_type(scale_type, [&](auto tag) {
    using Scale = decltype(tag);
    const auto* stored = static_cast<const typename Scale::Stored*>(scales);
    for (uint64_t row = 0; row < shape.rows; ++row) {
      for (uint64_t group = 0; group < shape.groups(); ++group) {
        const Affine found = affine_at<Scale>(layout, shape, qzeros, stored, row, group);
        scale_of[row * shape.groups() + group] = found.scale;
        zero_of[row * shape.groups() + group] = found.zero;
      }
    }
  });
}

}  // namespace

const AwqKernels& awq_kernels() {
  static constexpr AwqKernels kernels{quantize,    quantize_on, read_groups, dequantize,
                                      read_affine, store_codes, pack_rows};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
