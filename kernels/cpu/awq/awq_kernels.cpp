// Compiled once for each instruction set.
#include <vector>

#include "kernels/cpu/awq/awq.h"

#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kTogether = 8;  // rows that share words
constexpr uint64_t kNibbleOfRow[8] = {0, 4, 1, 5, 2, 6, 3, 7};

// Of this namespace alone, so that containers of it are no symbols that instruction sets share.
struct Affine {
  float scale, zero;
};
struct Code {
  uint8_t value;
};

// Where in gemv_fast the code of a column stands, within the words of a row of four.
struct FastPlace {
  uint64_t word, nibble;
};
FastPlace fast_place(uint64_t row, uint64_t column) {
  const uint64_t k = column / 64, h = column / 32 % 2, a = column / 8 % 4, b = column / 2 % 4;
  return {64 * k + 16 * (row % 4) + 8 * h + 2 * b + column % 2, a};
}

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
  float lows[kLanes], highs[kLanes];
  low.store(lows);
  high.store(highs);
  for (int lane = 0; lane < kLanes; ++lane) {
    range.add(lows[lane]);
    range.add(highs[lane]);
  }
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

void store_gemm(const AwqShape& shape, uint64_t row, const Code* codes, const Affine* groups,
                uint32_t* qweight, uint32_t* qzeros, uint16_t* scales) {
  const uint64_t words = shape.rows / 8;
  for (uint64_t column = 0; column < shape.columns; ++column) {
    uint32_t word = 0;
    for (uint64_t i = 0; i < kTogether; ++i)
      word |= uint32_t{codes[i * shape.columns + column].value} << (4 * kNibbleOfRow[i]);
    qweight[column * words + row / 8] = word;
  }
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint32_t word = 0;
    for (uint64_t i = 0; i < kTogether; ++i) {
      const Affine& affine = groups[i * shape.groups() + group];
      word |= static_cast<uint32_t>(affine.zero) << (4 * kNibbleOfRow[i]);
      scales[group * shape.rows + row + i] = float_to_half(affine.scale);
    }
    qzeros[group * words + row / 8] = word;
  }
}

void store_gemv(const AwqShape& shape, uint64_t row, const Code* codes, const Affine* groups,
                uint32_t* qweight, uint32_t* qzeros, uint16_t* scales) {
  for (uint64_t word = 0; word < shape.columns / 8; ++word) {
    uint32_t packed = 0;
    for (uint64_t i = 0; i < 8; ++i) packed |= uint32_t{codes[8 * word + i].value} << (4 * i);
    qweight[row * (shape.columns / 8) + word] = packed;
  }
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

void store_gemv_fast(const AwqShape& shape, uint64_t row, const Code* codes, const Affine* groups,
                     uint16_t* qweight, uint16_t* zeros, uint16_t* scales) {
  for (uint64_t i = 0; i < kTogether; i += 4) {
    uint16_t* words = qweight + (row + i) / 4 * shape.columns;
    for (uint64_t column = 0; column < shape.columns; ++column) words[column] = 0;
    for (uint64_t r = 0; r < 4; ++r) {
      for (uint64_t column = 0; column < shape.columns; ++column) {
        const FastPlace place = fast_place(r, column);
        words[place.word] =
            static_cast<uint16_t>(words[place.word] | codes[(i + r) * shape.columns + column].value
                                                          << (4 * place.nibble));
      }
    }
  }
  for (uint64_t group = 0; group < 8 * shape.zero_width(); ++group) {
    for (uint64_t i = 0; i < kTogether; ++i) {
      const Affine affine =
          group < shape.groups() ? groups[i * shape.groups() + group] : Affine{0, 0};
      const uint64_t at = group * shape.rows + row + i;
      scales[at] = float_to_half(affine.scale);
      zeros[at] = group < shape.groups() ? float_to_half(-(affine.scale * affine.zero)) : 0;
    }
  }
}

// parameters(row, group, its values) gives scale and zero point.
template <typename Parameters>
void quantize_by(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
                 uint64_t row_begin, uint64_t row_end, void* qweight, void* qzeros,
                 uint16_t* scales, Parameters&& parameters) {
  std::vector<Code> codes(kTogether * shape.columns);
  std::vector<Affine> groups(kTogether * shape.groups());
  struct Value {
    float value;
  };
  std::vector<Value> values(shape.columns);
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t block = row_begin; block < row_end; block += kTogether) {
      for (uint64_t i = 0; i < kTogether; ++i) {
        const auto* in =
            static_cast<const typename Type::Stored*>(weight) + (block + i) * shape.columns;
        round_to_halves<Type>(in, shape.columns, &values[0].value);
        for (uint64_t group = 0; group < shape.groups(); ++group) {
          const float* first = &values[group * shape.group_size].value;
          const Affine affine = parameters(block + i, group, first);
          groups[i * shape.groups() + group] = affine;
          codes_of(first, shape.group_size, affine,
                   &codes[i * shape.columns + group * shape.group_size]);
        }
      }
      if (layout == AwqLayout::gemm) {
        store_gemm(shape, block, codes.data(), groups.data(), static_cast<uint32_t*>(qweight),
                   static_cast<uint32_t*>(qzeros), scales);
      } else if (layout == AwqLayout::gemv_fast) {
        store_gemv_fast(shape, block, codes.data(), groups.data(), static_cast<uint16_t*>(qweight),
                        static_cast<uint16_t*>(qzeros), scales);
      } else {
        for (uint64_t i = 0; i < kTogether; ++i) {
          store_gemv(shape, block + i, codes.data() + i * shape.columns,
                     groups.data() + i * shape.groups(), static_cast<uint32_t*>(qweight),
                     static_cast<uint32_t*>(qzeros), scales);
        }
      }
    }
  });
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

int code_at(AwqLayout layout, const AwqShape& shape, const void* qweight, uint64_t row,
            uint64_t column) {
  const auto* words = static_cast<const uint32_t*>(qweight);
  switch (layout) {
    case AwqLayout::gemm:
      return (words[column * (shape.rows / 8) + row / 8] >> (4 * kNibbleOfRow[row % 8]) & 15) ^
             shape.sign;
    case AwqLayout::gemv:
      return words[(row * shape.columns + column) / 8] >> (4 * (column % 8)) & 15;
    case AwqLayout::gemv_fast:
      break;
  }
  const FastPlace place = fast_place(row, column);
  const uint16_t* fast = static_cast<const uint16_t*>(qweight) + row / 4 * shape.columns;
  return fast[place.word] >> (4 * place.nibble) & 15;
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

// Eight columns of words that hold eight rows each, of kGroups neighbouring words: a word of eight
// codes for each row, codes[row of the word][word].
constexpr uint64_t kGroups = 8;
void turn_words(const uint32_t* words, uint64_t stride, uint32_t (&codes)[kTogether][kGroups]) {
  for (uint64_t i = 0; i < kTogether; ++i) {
    uint32_t turned[kGroups] = {};
    for (int column = 0; column < 8; ++column) {
      const uint32_t* from = words + static_cast<uint64_t>(column) * stride;
      for (uint64_t word = 0; word < kGroups; ++word)
        turned[word] |= (from[word] >> (4 * kNibbleOfRow[i]) & 15) << (4 * column);
    }
    std::copy_n(turned, kGroups, codes[i]);
  }
}

// Rows [row_begin, row_end) to packed[row - row_begin][columns / 2], bytes of two codes, the first
// in the low half.
void pack_plain(AwqLayout layout, const AwqShape& shape, const void* qweight, uint64_t row_begin,
                uint64_t row_end, uint8_t* packed) {
  for (uint64_t column = 0; column < shape.columns; column += 2) {
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const int low = code_at(layout, shape, qweight, row, column);
      const int high = code_at(layout, shape, qweight, row, column + 1);
      packed[((row - row_begin) * shape.columns + column) / 2] =
          static_cast<uint8_t>(low | high << 4);
    }
  }
}

// kGroups * kTogether rows from row_begin on, of layout gemm; columns are a multiple of 8.
void pack_words(const AwqShape& shape, const void* qweight, uint64_t row_begin, uint8_t* packed) {
  const uint64_t stride = shape.rows / 8;
  const auto* words = static_cast<const uint32_t*>(qweight) + row_begin / 8;
  for (uint64_t column = 0; column < shape.columns; column += 8) {
    uint32_t codes[kTogether][kGroups];
    turn_words(words + column * stride, stride, codes);
    const uint32_t signs = 0x11111111u * static_cast<uint32_t>(shape.sign);
    for (uint64_t word = 0; word < kGroups; ++word) {
      for (uint64_t i = 0; i < kTogether; ++i) {
        const uint32_t eight = codes[i][word] ^ signs;
        std::memcpy(packed + ((word * kTogether + i) * shape.columns + column) / 2, &eight, 4);
      }
    }
  }
}

void pack_block(AwqLayout layout, const AwqShape& shape, const void* qweight, uint64_t row_begin,
                uint64_t row_end, uint8_t* packed) {
  if (layout == AwqLayout::gemv && shape.columns % 8 == 0) {
    std::memcpy(packed, static_cast<const uint8_t*>(qweight) + row_begin * shape.columns / 2,
                (row_end - row_begin) * shape.columns / 2);
    return;
  }
  uint64_t row = row_begin;
  if (layout == AwqLayout::gemm && row_begin % kTogether == 0 && shape.columns % 8 == 0) {
    for (; row + kGroups * kTogether <= row_end; row += kGroups * kTogether)
      pack_words(shape, qweight, row, packed + (row - row_begin) * shape.columns / 2);
  }
  // The rows of a word together, so that each word is brought into the cache once.
  while (row < row_end) {
    const uint64_t end = std::min(row_end, (row / kTogether + 1) * kTogether);
    pack_plain(layout, shape, qweight, row, end, packed + (row - row_begin) * shape.columns / 2);
    row = end;
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
  constexpr uint64_t kRows = kGroups * kTogether;
  std::vector<uint8_t> packed(std::min(kRows, row_end - row_begin) * shape.columns / 2);
  with_types(scale_type, out_type, [&](auto scale_tag, auto out_tag) {
    using Scale = decltype(scale_tag);
    using Out = decltype(out_tag);
    auto* to = static_cast<typename Out::Stored*>(out);
    for (uint64_t begin = row_begin; begin < row_end; begin += kRows) {
      const uint64_t end = std::min(row_end, begin + kRows);
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
  static constexpr AwqKernels kernels{quantize,   quantize_on, read_groups,
                                      dequantize, read_affine, pack_rows};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
