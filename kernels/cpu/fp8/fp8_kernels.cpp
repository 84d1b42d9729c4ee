// Compiled once for each instruction set.
#include <cmath>

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/fp8/fp8.h"
#include "kernels/cpu/fp8/scales.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr float kLargest = 448.0f;

// A NaN passes through, as in torch.clamp.
uint8_t encode(float value) {
  value = value < -kLargest ? -kLargest : value;
  return float_to_float8_e4m3fn(value > kLargest ? kLargest : value);
}

// The codes of formula(number), which takes a float, or lanes of them.
template <typename Type, typename Formula>
void encode_numbers(const typename Type::Stored* numbers, uint64_t count, Formula formula,
                    uint8_t* codes) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = formula(load_numbers<Type>(numbers + i));
    const Ints sign = (as_ints(value) >> 24) & Ints::of(0x80);
    store_bytes(codes + i, Float8E4M3FN::codes(value, 0x7f) | sign);
  }
#endif
  for (; i < count; ++i) codes[i] = encode(formula(Type::load(numbers, i)));
}

// The biased exponent of the smallest power of two that is not below `scale`; the logarithm is
// rounded to float32 before it is rounded up, as torch has it.
uint8_t exponent_above(float scale) {
  const float normal = scale < 0x1p-126f ? 0x1p-126f : scale;
  const float exponent = std::ceil(static_cast<float>(std::log2(static_cast<double>(normal))));
  if (!(exponent < 128.0f)) return 0xff;
  return static_cast<uint8_t>(static_cast<int>(exponent) + 127);
}

template <typename Type>
float tile_absmax(const typename Type::Stored* weight, uint64_t columns, uint64_t row_begin,
                  uint64_t row_end, uint64_t begin, uint64_t end) {
  int32_t best = 0;
  for (uint64_t row = row_begin; row < row_end; ++row) {
    const float value = absmax_of<Type>(weight + row * columns, begin, end);
    best = std::max(best, std::bit_cast<int32_t>(value));
  }
  return std::bit_cast<float>(best);
}

template <typename Type>
void quantize_tile_rows(const typename Type::Stored* weight, const Fp8Tiles& tiles,
                        Fp8ScaleType scale_type, uint64_t row_begin, uint64_t row_end,
                        uint8_t* codes, void* scales) {
  const uint64_t first = row_begin / tiles.tile_rows * tiles.tiles_per_row();
  for (uint64_t tile = 0; tile < tiles.tiles_per_row(); ++tile) {
    const uint64_t begin = tile * tiles.tile_columns;
    const uint64_t end = std::min(begin + tiles.tile_columns, tiles.columns);
    const float absmax = tile_absmax<Type>(weight, tiles.columns, row_begin, row_end, begin, end);
    // In two roundings: torch divides a number by a tensor by way of the reciprocal.
    float factor = absmax > 0 ? 1.0f / absmax * kLargest : 1.0f;
    const float scale = 1.0f / factor;
    if (scale_type == Fp8ScaleType::e8m0) {
      static_cast<uint8_t*>(scales)[first + tile] = exponent_above(scale);
      factor = 1.0f / load_fp8_scale(scale_type, scales, first + tile);
    } else {
      static_cast<float*>(scales)[first + tile] = scale;
    }
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const uint64_t at = row * tiles.columns + begin;
      encode_numbers<Type>(
          weight + at, end - begin,
          [factor](auto value) { return value * all_of<decltype(value)>(factor); }, codes + at);
    }
  }
}

void quantize_tiles(WeightType type, const void* weight, Fp8Tiles tiles, Fp8ScaleType scale,
                    uint64_t row_begin, uint64_t row_end, uint8_t* codes, void* scales) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t row = row_begin; row < row_end; row += tiles.tile_rows) {
      quantize_tile_rows<Type>(values, tiles, scale, row, std::min(row + tiles.tile_rows, row_end),
                               codes, scales);
    }
  });
}

void quantize_rows(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
                   uint64_t row_end, uint8_t* codes, float* scales) {
  constexpr float kSmallest = 1.0f / (kLargest * 512.0f);
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * columns;
      const float wanted = absmax_of<Type>(values, 0, columns) / kLargest;
      const float scale = wanted < kSmallest ? kSmallest : wanted;
      scales[row] = scale;
      encode_numbers<Type>(
          values, columns, [scale](auto value) { return value / all_of<decltype(value)>(scale); },
          codes + row * columns);
    }
  });
}

void quantize_on(WeightType type, const void* weight, Fp8Tiles tiles, Fp8ScaleType scale_type,
                 const void* scales, uint64_t row_begin, uint64_t row_end, uint8_t* codes) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(weight) + row * tiles.columns;
      const uint64_t first = row / tiles.tile_rows * tiles.tiles_per_row();
      for (uint64_t begin = 0; begin < tiles.columns; begin += tiles.tile_columns) {
        const uint64_t end = std::min(begin + tiles.tile_columns, tiles.columns);
        const float scale = load_fp8_scale(scale_type, scales, first + begin / tiles.tile_columns);
        encode_numbers<Type>(
            values + begin, end - begin,
            [scale](auto value) { return value / all_of<decltype(value)>(scale); },
            codes + row * tiles.columns + begin);
      }
    }
  });
}

void read_scales(Fp8ScaleType type, const void* scales, uint64_t count, float* out) {
  for (uint64_t i = 0; i < count; ++i) out[i] = load_fp8_scale(type, scales, i);
}

// Columns [begin, end) of a row.
template <typename Out>
void decode_columns(const uint8_t* codes, const Fp8Tiles& tiles, Fp8ScaleType scale_type,
                    const void* scales, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
  const uint64_t first = row / tiles.tile_rows * tiles.tiles_per_row();
  const uint8_t* in = codes + row * tiles.columns;
  for (uint64_t i = begin; i < end;) {
    const uint64_t tile = i / tiles.tile_columns;
    const uint64_t stop = std::min(end, (tile + 1) * tiles.tile_columns);
    const float scale = load_fp8_scale(scale_type, scales, first + tile);
    decode_bytes<Float8E4M3FN, Out>(
        in + i, stop - i, [&](auto value) { return value * all_of<decltype(value)>(scale); },
        out + (i - begin));
    i = stop;
  }
}

void dequantize(const uint8_t* codes, Fp8Tiles tiles, Fp8ScaleType scale_type, const void* scales,
                uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out) {
  with_type(out_type, [&](auto tag) {
    using Out = decltype(tag);
    auto* values = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      decode_columns<Out>(codes, tiles, scale_type, scales, row, 0, tiles.columns,
                          values + (row - row_begin) * tiles.columns);
    }
  });
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const Fp8Product*>(format);
  with_type(weight.out_type, [&](auto tag) {
    using Out = decltype(tag);
    decode_columns<Out>(weight.codes, weight.tiles, weight.scale_type, weight.scales, row, begin,
                        end, static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace

const Fp8Kernels& fp8_kernels() {
  static constexpr Fp8Kernels kernels{quantize_tiles, quantize_rows, quantize_on,
                                      read_scales,    dequantize,    decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
