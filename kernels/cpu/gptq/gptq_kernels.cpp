// Compiled once for each instruction set.
#include <vector>

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
  float low = 0, high = 0;
  for (uint64_t i = begin; i < end; ++i) {
    const float value = Type::load(values, i);
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
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

template <typename Type>
void quantize_block(const typename Type::Stored* weight, const GptqFormat& format, bool symmetric,
                    const GptqShape& shape, uint64_t row_begin, uint32_t* qweight, uint32_t* qzeros,
                    uint16_t* scales) {
  const int levels = (1 << format.bits) - 1;
  const auto bits = static_cast<uint64_t>(format.bits);
  std::vector<Affine> groups(shape.groups() * kTogether);
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint8_t zeros[kTogether];
    for (uint64_t i = 0; i < kTogether; ++i) {
      const uint64_t begin = group * shape.group_size;
      Affine& found = groups[group * kTogether + i];
      found = group_parameters<Type>(weight + (row_begin + i) * shape.columns, begin,
                                     std::min(begin + shape.group_size, shape.columns), levels,
                                     symmetric);
      zeros[i] = static_cast<uint8_t>(found.zero);
      scales[group * shape.rows + row_begin + i] = float_to_half(found.scale);
    }
    pack_zeros(format, zeros, qzeros + (group * shape.rows + row_begin) / 32 * bits);
  }
  for (uint64_t column = 0; column < shape.columns; column += kTogether) {
    for (uint64_t i = 0; i < kTogether; ++i) {
      const auto* values = weight + (row_begin + i) * shape.columns + column;
      uint8_t codes[kTogether];
      for (uint64_t j = 0; j < kTogether; ++j) {
        const uint64_t group = (column + j) / shape.group_size;
        codes[j] = code_of(Type::load(values, j), groups[group * kTogether + i], levels);
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
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; row += kTogether) {
      quantize_block<Type>(static_cast<const typename Type::Stored*>(weight), format, symmetric,
                           shape, row, qweight, qzeros, scales);
    }
  });
}

template <typename Scale, typename Out>
void dequantize_row(const GptqFormat& format, const GptqShape& shape, const uint32_t* qweight,
                    const uint32_t* qzeros, const typename Scale::Stored* scales,
                    const int32_t* group_of, uint64_t row, std::vector<Affine>& groups,
                    typename Out::Stored* out) {
  const auto bits = static_cast<uint64_t>(format.bits);
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint8_t zeros[kTogether];
    unpack_zeros(format, qzeros + (group * shape.rows + row) / 32 * bits, zeros);
    groups[group] = {Scale::load(scales, group * shape.rows + row), zeros[row % 32]};
  }
  for (uint64_t column = 0; column < shape.columns; column += kTogether) {
    uint32_t words[8];
    for (uint64_t word = 0; word < bits; ++word)
      words[word] = qweight[(column / 32 * bits + word) * shape.rows + row];
    uint8_t codes[kTogether];
    unpack_codes(format, words, codes);
    for (uint64_t j = 0; j < kTogether; ++j) {
      const uint64_t index = group_of == nullptr ? (column + j) / shape.group_size
                                                 : static_cast<uint64_t>(group_of[column + j]);
      const Affine& group = groups[index];
      const auto difference = static_cast<float>(codes[j] - group.zero);
      Out::store(out, column + j, Scale::round(group.scale * difference));
    }
  }
}

void dequantize(GptqFormat format, GptqShape shape, const uint32_t* qweight, const uint32_t* qzeros,
                WeightType scale_type, const void* scales, const int32_t* group_of,
                uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out) {
  std::vector<Affine> groups(shape.groups());
  with_type(scale_type, [&](auto scale_tag) {
    using Scale = decltype(scale_tag);
    with_type(out_type, [&](auto out_tag) {
      using Out = decltype(out_tag);
      for (uint64_t row = row_begin; row < row_end; ++row) {
        dequantize_row<Scale, Out>(
            format, shape, qweight, qzeros, static_cast<const typename Scale::Stored*>(scales),
            group_of, row, groups,
            static_cast<typename Out::Stored*>(out) + (row - row_begin) * shape.columns);
      }
    });
  });
}

}  // namespace

const GptqKernels& gptq_kernels() {
  static constexpr GptqKernels kernels{quantize, dequantize};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
