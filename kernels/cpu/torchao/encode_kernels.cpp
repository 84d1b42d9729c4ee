// Compiled once for each instruction set.
#include <cmath>

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/torchao/tiles.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

struct Range {
  float low, high;
  void add(float value) {
    low = value < low || value != value ? value : low;
    high = value > high || value != value ? value : high;
  }
};

// Minimum and maximum of the values and `first`; a NaN wins.
template <typename Type>
Range range_of(float first, const typename Type::Stored* values, uint64_t count) {
  Range range{first, first};
  uint64_t i = 0;
#if PRECIS_LANES > 1
  Floats low = Floats::of(first), high = low, sum = Floats::of(0);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats here = load_numbers<Type>(values + i);
    low = min(here, low);
    high = max(here, high);
    sum = sum + (here - here);  // a NaN where a number is not finite
  }
  if (any_nan(sum, sum)) {
    i = 0;
  } else {
    range.add(smallest_of(low));
    range.add(largest_of(high));
  }
#endif
  for (; i < count; ++i) range.add(Type::load(values, i));
  return range;
}

void ranges(WeightType type, const void* weight, const AoBlocks& blocks, uint64_t row_begin,
            uint64_t row_end, float* lows, float* highs) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t block = row_begin * blocks.per_row(); block < row_end * blocks.per_row();
         ++block) {
      const Range range = range_of<Type>(0, values + block * blocks.block, blocks.block);
      lows[block] = range.low;
      highs[block] = range.high;
    }
  });
}

// The nearest integer within [low, high], ties to even; low for NaN.
float nearest(float value, float low, float high) {
  const float above = value > low ? value : low;
  return round_to_even(above < high ? above : high);
}

template <typename Type, bool kRounded>
void int8_row(const typename Type::Stored* values, uint64_t count, float scale, int8_t zero,
              AoCodeRange range, int8_t* codes) {
  const auto low = static_cast<float>(range.low), high = static_cast<float>(range.high);
  const auto offset = static_cast<float>(zero);
  const float inverse = kRounded ? Type::round(1.0f / scale) : 1.0f / scale;
  for (uint64_t i = 0; i < count; ++i) {
    const float product = Type::load(values, i) * inverse;
    const float code =
        nearest(kRounded ? Type::round(product) : product, low - offset, high - offset) + offset;
    codes[i] = static_cast<int8_t>(code);
  }
}

void int8_codes(WeightType type, const void* weight, const AoBlocks& blocks, const float* scales,
                const int8_t* zero_points, AoCodeRange range, bool rounded, uint64_t row_begin,
                uint64_t row_end, int8_t* codes) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      for (uint64_t column = 0; column < blocks.columns; column += blocks.block) {
        const uint64_t index = blocks.index(row, column), at = row * blocks.columns + column;
        const auto encode = rounded ? int8_row<Type, true> : int8_row<Type, false>;
        encode(values + at, blocks.block, scales[index], zero_points[index], range, codes + at);
      }
    }
  });
}

// Saturated; a NaN keeps its sign.
template <typename Bytes, typename Type>
void float8_row(float largest, uint8_t (*code_of)(float), const typename Type::Stored* values,
                uint64_t count, float scale, uint8_t* codes) {
  const auto plain = [&](uint64_t i) {
    const float exact = Type::load(values, i) / scale;
    const float above = exact < -largest ? -largest : exact;
    codes[i] = code_of(above > largest ? largest : above);
  };
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Floats exact = load_numbers<Type>(values + i) / Floats::of(scale);
    if (!any_nan(exact, exact))
      store_bytes(codes + i, Bytes::codes(exact, 0));
    else
      for (uint64_t lane = 0; lane < kLanes; ++lane) plain(i + lane);
  }
#endif
  for (; i < count; ++i) plain(i);
}

void float8_codes(AoCodes format, WeightType type, const void* weight, const AoBlocks& blocks,
                  const float* scales, uint64_t row_begin, uint64_t row_end, uint8_t* codes) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      for (uint64_t column = 0; column < blocks.columns; column += blocks.block) {
        const uint64_t at = row * blocks.columns + column;
        const float scale = scales[blocks.index(row, column)];
        if (format == AoCodes::float8_e4m3fn)
          float8_row<Float8E4M3FN, Type>(448.0f, float_to_float8_e4m3fn, values + at, blocks.block,
                                         scale, codes + at);
        else
          float8_row<Float8E5M2, Type>(57344.0f, float_to_float8_e5m2, values + at, blocks.block,
                                       scale, codes + at);
      }
    }
  });
}

// Codes 0 to 15 of the steps of `scale` above `low`, less 8, two to a byte; `count` is even.
template <typename Type>
void pair_codes(const typename Type::Stored* values, uint64_t count, float low, float scale,
                uint8_t* pairs) {
  constexpr uint64_t kAtOnce = 64;
  for (uint64_t begin = 0; begin < count; begin += kAtOnce) {
    const uint64_t here = std::min(kAtOnce, count - begin);
    uint8_t codes[kAtOnce];
    uint64_t i = 0;
#if PRECIS_LANES > 1
    for (; i + kLanes <= here; i += kLanes) {
      const Floats steps =
          (load_numbers<Type>(values + begin + i) - Floats::of(low)) / Floats::of(scale);
      const Floats bounded = min(max(steps, Floats::of(0)), Floats::of(15));
      store_bytes(codes + i, truncate(round_to_even(bounded)));
    }
#endif
    for (; i < here; ++i) {
      const float steps = (Type::load(values, begin + i) - low) / scale;
      codes[i] = static_cast<uint8_t>(nearest(steps, 0.0f, 15.0f));
    }
    for (uint64_t pair = 0; pair < here / 2; ++pair) {
      const int both = ((codes[2 * pair] - 8) & 15) | ((codes[2 * pair + 1] - 8) & 15) << 4;
      pairs[begin / 2 + pair] = static_cast<uint8_t>(both);
    }
  }
}

void int4_pairs(WeightType type, const void* weight, uint64_t rows, uint64_t columns,
                uint64_t block, uint64_t row_begin, uint64_t row_end, uint8_t* codes, void* scales,
                void* zeros) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    using Stored = typename Type::Stored;
    const auto* values = static_cast<const Stored*>(weight);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      for (uint64_t first = 0; first < columns; first += block) {
        const Stored* from = values + row * columns + first;
        const Range range = range_of<Type>(Type::load(from, 0), from, block);
        const float extent = range.high - range.low;
        const float scale = (extent < 1e-6f ? 1e-6f : extent) / 15.0f;
        const uint64_t index = first / block * rows + row;
        Type::store(static_cast<Stored*>(scales), index, scale);
        Type::store(static_cast<Stored*>(zeros), index, range.low + 8.0f * scale);
        pair_codes<Type>(from, block, range.low, scale, codes + (row * columns + first) / 2);
      }
    }
  });
}

// What a padded row of a bfloat16 weight holds.
float padded_value(const uint16_t* weight, uint64_t rows, uint64_t columns, uint64_t row,
                   uint64_t column) {
  return row < rows && column < columns ? BF16::load(weight, row * columns + column) : 0.0f;
}

// A bfloat16 weight and what it is padded to.
struct Padded {
  const uint16_t* weight;
  uint64_t rows, columns, block, padded_rows, padded_columns;

  float at(uint64_t row, uint64_t column) const {
    return padded_value(weight, rows, columns, row, column);
  }
  uint64_t scale_index(uint64_t row, uint64_t column) const {
    return (column / block * padded_rows + row) * 2;
  }
};

void tile_parameters(const Padded& matrix, uint64_t row, uint16_t* scales_and_zeros) {
  for (uint64_t column = 0; column < matrix.padded_columns; column += matrix.block) {
    Range range{matrix.at(row, column), matrix.at(row, column)};
    for (uint64_t i = 1; i < matrix.block; ++i) range.add(matrix.at(row, column + i));
    float scale = BF16::round(BF16::round(range.high - range.low) / 15.0f);
    if (scale < 0x1p-126f) scale = 0x1p-126f;
    const uint64_t index = matrix.scale_index(row, column);
    BF16::store(scales_and_zeros, index, scale);
    BF16::store(scales_and_zeros, index + 1, range.low + BF16::round(8.0f * scale));
  }
}

void tile_codes(const Padded& matrix, uint64_t row, const uint16_t* scales_and_zeros,
                uint32_t* qdata) {
  for (uint64_t column = 0; column < matrix.padded_columns; column += 128) {
    uint32_t* words = qdata + tile_words(matrix.padded_columns, row, column);
    for (uint64_t word = 0; word < 16; ++word) words[word] = 0;
    for_tile_columns([&](uint64_t within, uint64_t word, int bit) {
      const uint64_t index = matrix.scale_index(row, column + within);
      const float scale = BF16::load(scales_and_zeros, index);
      const float zero = BF16::load(scales_and_zeros, index + 1);
      const float lowest = BF16::round(zero - BF16::round(8.0f * scale));
      const float above = BF16::round(matrix.at(row, column + within) - lowest);
      const float code = nearest(BF16::round(above / scale), 0.0f, 15.0f);
      words[word] |= static_cast<uint32_t>(code) << bit;
    });
  }
}

void int4_tiles(const uint16_t* weight, uint64_t rows, uint64_t columns, uint64_t block,
                uint64_t padded_rows, uint64_t padded_columns, uint64_t tile_begin,
                uint64_t tile_end, uint32_t* qdata, uint16_t* scales_and_zeros) {
  const Padded matrix{weight, rows, columns, block, padded_rows, padded_columns};
  for (uint64_t row = 8 * tile_begin; row < 8 * tile_end; ++row) {
    tile_parameters(matrix, row, scales_and_zeros);
    tile_codes(matrix, row, scales_and_zeros, qdata);
  }
}

}  // namespace

const AoEncoders& ao_encoders() {
  static constexpr AoEncoders encoders{ranges, int8_codes, float8_codes, int4_pairs, int4_tiles};
  return encoders;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
