// Compiled once for each instruction set.
#include <vector>

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/turn_tile.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/gptq/gptq.h"
#include "kernels/cpu/gptq/packing.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kTogether = 32;  // rows and columns that share words

// Of this namespace alone, so that containers of it are no symbols that instruction sets share.
struct Affine {
  float scale;
  int zero;
};

// The nearest integer, ties to even, bounded by a range that covers all codes; 0 for NaN.
int rounded(float value) {
  const float bounded = value < -1024.0f ? -1024.0f : value > 1024.0f ? 1024.0f : value;
  return value == value ? static_cast<int>(round_to_even(bounded)) : 0;
}

// Scale and zero point of a group (GPTQModel's Quantizer.find_params). A symmetric group without a
// negative value keeps 0 as its minimum, and with it half of the scale it would need: so does the
// library.
template <typename Type>
Affine group_parameters(const typename Type::Stored* values, uint64_t begin, uint64_t end,
                        int levels, bool symmetric) {
  int32_t lowest = 0, highest = 0;  // NaNs do not count
  for (uint64_t i = begin; i < end; ++i) {
    const float value = Type::load(values, i);
    const int32_t order = value == value ? order_of(value) : 0;
    lowest = order < lowest ? order : lowest;
    highest = order > highest ? order : highest;
  }
  float low = number_at(lowest), high = number_at(highest);
  if (symmetric) {
    high = std::max(-low, high);
    if (low < 0) low = -high;
  }
  if (low == 0 && high == 0) {
    low = -1;
    high = 1;
  }
  const float scale = (high - low) / static_cast<float>(levels);
  return {scale, symmetric ? (levels + 1) / 2 : rounded(-low / scale)};
}

uint8_t code_of(float value, const Affine& group, int levels) {
  const int code = rounded(value / group.scale) + group.zero;
  return static_cast<uint8_t>(code < 0 ? 0 : code > levels ? levels : code);
}

// The codes of kTogether numbers of one group.
template <typename Type>
void codes_of(const typename Type::Stored* values, const Affine& group, int levels,
              uint8_t* codes) {
#if PRECIS_LANES > 1
  for (uint64_t i = 0; i < kTogether; i += kLanes) {
    const Floats quotient = load_numbers<Type>(values + i) / Floats::of(group.scale);
    const Floats bounded = min(max(quotient, Floats::of(-1024)), Floats::of(1024));
    const Floats number = select(quotient == quotient, bounded, Floats::of(0));
    const Ints code = truncate(round_to_even(number)) + Ints::of(group.zero);
    store_bytes(codes + i, min(max(code, Ints::of(0)), Ints::of(levels)));
  }
#else
  for (uint64_t i = 0; i < kTogether; ++i) codes[i] = code_of(Type::load(values, i), group, levels);
#endif
}

// Whether kTogether columns from `column` on, a multiple of it, are of one group.
bool is_one_group(const GptqShape& shape, const int32_t* group_of, uint64_t column) {
  return group_of == nullptr &&
         column / shape.group_size == (column + kTogether - 1) / shape.group_size;
}

// group_of: null, or the group of each column. affine(row, group) gives scale and zero point.
template <typename Type, typename Parameters>
void quantize_block(const typename Type::Stored* weight, const GptqFormat& format,
                    const GptqShape& shape, const int32_t* group_of, uint64_t row_begin,
                    uint32_t* qweight, uint32_t* qzeros, uint16_t* scales, Parameters&& affine) {
  const int levels = (1 << format.bits) - 1;
  const auto bits = static_cast<uint64_t>(format.bits);
  std::vector<Affine> groups(shape.groups() * kTogether);
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint8_t zeros[kTogether];
    for (uint64_t i = 0; i < kTogether; ++i) {
      Affine& found = groups[group * kTogether + i];
      found = affine(row_begin + i, group);
      zeros[i] = static_cast<uint8_t>(found.zero);
      scales[group * shape.rows + row_begin + i] = float_to_half(found.scale);
    }
    pack_zeros(format, zeros, qzeros + (group * shape.rows + row_begin) / 32 * bits);
  }
  for (uint64_t column = 0; column < shape.columns; column += kTogether) {
    for (uint64_t i = 0; i < kTogether; ++i) {
      const auto* values = weight + (row_begin + i) * shape.columns + column;
      uint8_t codes[kTogether];
      if (is_one_group(shape, group_of, column)) {
        codes_of<Type>(values, groups[column / shape.group_size * kTogether + i], levels, codes);
      } else {
        for (uint64_t j = 0; j < kTogether; ++j) {
          const uint64_t group = group_of == nullptr ? (column + j) / shape.group_size
                                                     : static_cast<uint64_t>(group_of[column + j]);
          codes[j] = code_of(Type::load(values, j), groups[group * kTogether + i], levels);
        }
      }
      uint32_t words[8];
      pack_codes(format, codes, words);
      for (uint64_t word = 0; word < bits; ++word)
        qweight[(column / 32 * bits + word) * shape.rows + row_begin + i] = words[word];
    }
  }
}

void quantize(WeightType type, const void* weight, GptqFormat format, bool symmetric,
              GptqShape shape, uint64_t row_begin, uint64_t row_end, uint32_t* qweight,
              uint32_t* qzeros, uint16_t* scales) {
  const int levels = (1 << format.bits) - 1;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    const auto parameters = [&](uint64_t row, uint64_t group) {
      const uint64_t begin = group * shape.group_size;
      return group_parameters<Type>(values + row * shape.columns, begin,
                                    std::min(begin + shape.group_size, shape.columns), levels,
                                    symmetric);
    };
    for (uint64_t row = row_begin; row < row_end; row += kTogether)
      quantize_block<Type>(values, format, shape, nullptr, row, qweight, qzeros, scales,
                           parameters);
  });
}

void quantize_on(WeightType type, const void* weight, GptqFormat format, GptqGrid grid,
                 GptqShape shape, uint64_t row_begin, uint64_t row_end, uint32_t* qweight,
                 uint32_t* qzeros, uint16_t* scales) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto parameters = [&](uint64_t row, uint64_t group) {
      const uint64_t i = row * shape.groups() + group;
      return Affine{grid.scales[i], grid.zeros[i]};
    };
    for (uint64_t row = row_begin; row < row_end; row += kTogether)
      quantize_block<Type>(static_cast<const typename Type::Stored*>(weight), format, shape,
                           grid.group_of, row, qweight, qzeros, scales, parameters);
  });
}

void read_groups(GptqFormat format, GptqShape shape, const uint32_t* qzeros, WeightType scale_type,
                 const void* scales, float* scale_of, int32_t* zero_of) {
  const auto bits = static_cast<uint64_t>(format.bits);
  with_type(scale_type, [&](auto tag) {
    using Scale = decltype(tag);
    const auto* stored = static_cast<const typename Scale::Stored*>(scales);
    for (uint64_t group = 0; group < shape.groups(); ++group) {
      for (uint64_t row = 0; row < shape.rows; row += kTogether) {
        uint8_t zeros[kTogether];
        unpack_zeros(format, qzeros + (group * shape.rows + row) / 32 * bits, zeros);
        for (uint64_t i = 0; i < kTogether; ++i) {
          const uint64_t at = (row + i) * shape.groups() + group;
          scale_of[at] = Scale::load(stored, group * shape.rows + row + i);
          zero_of[at] = zeros[i];
        }
      }
    }
  });
}

// The value of a code: its difference to the zero point is exact.
template <typename Scale>
auto value_of(const Affine& group) {
  return [scale = group.scale, zero = static_cast<float>(group.zero)](auto code) {
    using Value = decltype(code);
    return round_as<Scale>(all_of<Value>(scale) * (code - all_of<Value>(zero)));
  };
}

// Whether a word has whole codes of neighbouring columns, from the low bits up: as bytes, of two
// codes, the first in the low half, or of one.
bool has_whole_codes(const GptqFormat& format) {
  return format.bits == 4 || format.bits == 8;
}

// Codes of 32 columns of a row.
void load_codes(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
                uint64_t row, uint64_t column, uint8_t* codes) {
  const auto bits = static_cast<uint64_t>(format.bits);
  const uint32_t* from = qweight + column / 32 * bits * shape.rows + row;
  unpack_codes(
      format, [&](int word) { return from[static_cast<uint64_t>(word) * shape.rows]; }, codes);
}

// Rows at once: words of neighbouring rows lie in a page, those of neighbouring columns in others.
constexpr uint64_t kPackedRows = 4 * kTile;

// Rows [row_begin, row_end) of whole codes to packed[row - row_begin][columns * bits / 8].
void pack_words(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
                uint64_t row_begin, uint64_t row_end, uint8_t* packed) {
  const uint64_t words = shape.columns * static_cast<uint64_t>(format.bits) / 32;
  const uint64_t row_bytes = words * sizeof(uint32_t);
  for (uint64_t block = row_begin; block < row_end; block += kPackedRows) {
    const uint64_t end = std::min(row_end, block + kPackedRows);
    const uint64_t tiled_end = block + (end - block) / kTile * kTile;
    for (uint64_t word = 0; word < words; word += kTile) {
      const uint64_t count = std::min(kTile, words - word);
      uint64_t row = block;
      for (; count == kTile && row < tiled_end; row += kTile)
        turn_tile(qweight + word * shape.rows + row, shape.rows,
                  packed + (row - row_begin) * row_bytes + word * sizeof(uint32_t), row_bytes);
      for (; row < end; ++row) {
        for (uint64_t i = word; i < word + count; ++i)
          std::memcpy(packed + (row - row_begin) * row_bytes + i * sizeof(uint32_t),
                      qweight + i * shape.rows + row, sizeof(uint32_t));
      }
    }
  }
}

// Codes of less than 4 bits as nibbles, packed[row - row_begin][columns / 2].
void pack_nibbles(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
                  uint64_t row_begin, uint64_t row_end, uint8_t* packed) {
  for (uint64_t block = row_begin; block < row_end; block += kTogether) {
    for (uint64_t column = 0; column < shape.columns; column += kTogether) {
      for (uint64_t row = block; row < std::min(row_end, block + kTogether); ++row) {
        uint8_t codes[kTogether];
        load_codes(format, shape, qweight, row, column, codes);
        pack_bit_fields(4, codes, kTogether,
                        packed + ((row - row_begin) * shape.columns + column) / 2);
      }
    }
  }
}

// Bits of a code once rows are packed; 0: not packed.
uint64_t packed_bits(const GptqFormat& format) {
  return format.bits == 8 ? 8 : format.bits <= 4 ? 4 : 0;
}

void pack(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
          uint64_t row_begin, uint64_t row_end, uint8_t* packed) {
  const auto pack_codes = has_whole_codes(format) ? pack_words : pack_nibbles;
  pack_codes(format, shape, qweight, row_begin, row_end, packed);
}

// Scales and zero points of rows [row_begin, row_end): [row - row_begin][group].
template <typename Scale>
std::vector<Affine> load_groups(const GptqFormat& format, const GptqShape& shape,
                                const uint32_t* qzeros, const typename Scale::Stored* scales,
                                uint64_t row_begin, uint64_t row_end) {
  const auto bits = static_cast<uint64_t>(format.bits);
  std::vector<Affine> groups((row_end - row_begin) * shape.groups());
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint8_t zeros[kTogether];
    for (uint64_t row = row_begin; row < row_end; ++row) {
      if (row == row_begin || row % kTogether == 0)
        unpack_zeros(format, qzeros + (group * shape.rows + row) / 32 * bits, zeros);
      groups[(row - row_begin) * shape.groups() + group] = {
          Scale::load(scales, group * shape.rows + row), zeros[row % kTogether]};
    }
  }
  return groups;
}

// 32 columns from `column` on. groups: of the row.
template <typename Scale, typename Out>
void decode_columns(const GptqShape& shape, const uint8_t* codes, const int32_t* group_of,
                    uint64_t column, const Affine* groups, typename Out::Stored* out) {
  if (is_one_group(shape, group_of, column))
    return decode_bytes<UnsignedBytes, Out>(
        codes, kTogether, value_of<Scale>(groups[column / shape.group_size]), out);
  for (uint64_t j = 0; j < kTogether; ++j) {
    const uint64_t index = group_of == nullptr ? (column + j) / shape.group_size
                                               : static_cast<uint64_t>(group_of[column + j]);
    const auto difference = static_cast<float>(codes[j] - groups[index].zero);
    Out::store(out, j, Scale::round(groups[index].scale * difference));
  }
}

// A packed row whose groups are neighbours.
template <typename Scale, typename Out>
void decode_packed_row(const GptqFormat& format, const GptqShape& shape, const uint8_t* packed,
                       const Affine* groups, typename Out::Stored* out) {
  for (uint64_t begin = 0, group = 0; begin < shape.columns; begin += shape.group_size, ++group) {
    const uint64_t count = std::min<uint64_t>(shape.group_size, shape.columns - begin);
    if (format.bits == 8)
      decode_bytes<UnsignedBytes, Out>(packed + begin, count, value_of<Scale>(groups[group]),
                                       out + begin);
    else
      ValueTable<Out>(kUnsignedNibbles, value_of<Scale>(groups[group]))
          .look_up_nibbles(packed + begin / 2, count, out + begin);
  }
}

// Whether the map tells no more than the group size does.
bool is_in_order(const GptqShape& shape, const int32_t* group_of) {
  for (uint64_t i = 0; i < shape.columns; ++i)
    if (static_cast<uint64_t>(group_of[i]) != i / shape.group_size) return false;
  return true;
}

// At most kPackedRows rows.
template <typename Scale, typename Out>
void dequantize_rows(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
                     const int32_t* group_of, const std::vector<Affine>& groups, uint64_t row_begin,
                     uint64_t row_end, typename Out::Stored* out) {
  if (packed_bits(format) != 0 && group_of == nullptr && shape.group_size % 2 == 0) {
    const uint64_t row_bytes = shape.columns * packed_bits(format) / 8;
    std::vector<uint8_t> packed((row_end - row_begin) * row_bytes);
    pack(format, shape, qweight, row_begin, row_end, packed.data());
    for (uint64_t i = 0; i < row_end - row_begin; ++i)
      decode_packed_row<Scale, Out>(format, shape, &packed[i * row_bytes],
                                    &groups[i * shape.groups()], out + i * shape.columns);
    return;
  }
  for (uint64_t column = 0; column < shape.columns; column += kTogether) {
    for (uint64_t i = 0; i < row_end - row_begin; ++i) {
      uint8_t codes[kTogether];
      load_codes(format, shape, qweight, row_begin + i, column, codes);
      decode_columns<Scale, Out>(shape, codes, group_of, column, &groups[i * shape.groups()],
                                 out + i * shape.columns + column);
    }
  }
}

void dequantize(GptqFormat format, GptqShape shape, const uint32_t* qweight, const uint32_t* qzeros,
                WeightType scale_type, const void* scales, const int32_t* group_of,
                uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out) {
  if (group_of != nullptr && is_in_order(shape, group_of)) group_of = nullptr;
  with_types(scale_type, out_type, [&](auto scale_tag, auto out_tag) {
    using Scale = decltype(scale_tag);
    using Out = decltype(out_tag);
    for (uint64_t begin = row_begin; begin < row_end; begin += kPackedRows) {
      const uint64_t end = std::min(row_end, begin + kPackedRows);
      const auto groups = load_groups<Scale>(
          format, shape, qzeros, static_cast<const typename Scale::Stored*>(scales), begin, end);
      dequantize_rows<Scale, Out>(
          format, shape, qweight, group_of, groups, begin, end,
          static_cast<typename Out::Stored*>(out) + (begin - row_begin) * shape.columns);
    }
  });
}

void pack_rows(GptqFormat format, GptqShape shape, const uint32_t* qweight, uint64_t row_begin,
               uint64_t row_end, uint8_t* packed) {
  pack(format, shape, qweight, row_begin, row_end,
       packed + row_begin * shape.columns * packed_bits(format) / 8);
}

template <typename Scale, typename Out>
void decode_row(const GptqProduct& weight, uint64_t row, uint64_t begin, uint64_t end,
                typename Out::Stored* out) {
  const float* scales = weight.scales + row * weight.shape.groups();
  const int32_t* zeros = weight.zeros + row * weight.shape.groups();
  const auto value = [&](uint64_t group, int code) {
    return Scale::round(scales[group] * static_cast<float>(code - zeros[group]));
  };
  for (uint64_t column = begin; column < end; column += kTogether) {
    uint8_t codes[kTogether];
    load_codes(weight.format, weight.shape, weight.qweight, row, column, codes);
    typename Out::Stored* to = out + (column - begin);
    if (is_one_group(weight.shape, weight.group_of, column)) {
      const uint64_t group = column / weight.shape.group_size;
      decode_bytes<UnsignedBytes, Out>(codes, kTogether,
                                       value_of<Scale>({scales[group], zeros[group]}), to);
      continue;
    }
    for (uint64_t j = 0; j < kTogether; ++j) {
      const uint64_t group = weight.group_of == nullptr
                                 ? (column + j) / weight.shape.group_size
                                 : static_cast<uint64_t>(weight.group_of[column + j]);
      Out::store(to, j, value(group, codes[j]));
    }
  }
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GptqProduct*>(format);
  with_types(weight.scale_type, weight.out_type, [&](auto scale, auto tag) {
    using Out = decltype(tag);
    decode_row<decltype(scale), Out>(weight, row, begin, end,
                                     static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace

const GptqKernels& gptq_kernels() {
  static constexpr GptqKernels kernels{quantize,   quantize_on, read_groups,
                                       dequantize, pack_rows,   decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
