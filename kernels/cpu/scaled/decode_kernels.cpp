// Compiled once for each instruction set.
#include "kernels/cpu/scaled/decode.h"

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/scaled/narrow_rows.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kPiece = 1024;  // columns at once

float load_scale(const ScaledWeight& weight, uint64_t i) {
  float scale = 0;
  switch (weight.scale_type) {
    case ScaleType::f32:
      scale = static_cast<const float*>(weight.scales)[i];
      break;
    case ScaleType::f16:
      scale = half_to_float(static_cast<const uint16_t*>(weight.scales)[i]);
      break;
    case ScaleType::bf16:
      scale = bfloat16_to_float(static_cast<const uint16_t*>(weight.scales)[i]);
      break;
    case ScaleType::e8m0:
      scale = float8_e8m0_to_float(static_cast<const uint8_t*>(weight.scales)[i]);
      break;
    case ScaleType::e4m3fn:
      scale = float8_e4m3fn_to_float(static_cast<const uint8_t*>(weight.scales)[i]);
      break;
  }
  return scale / weight.divisor * weight.factor;
}

template <typename Rounding>
void scale_run(float zero, float scale, uint64_t count, float* values) {
  for (uint64_t i = 0; i < count; ++i)
    values[i] = Rounding::round(Rounding::round(values[i] - zero) * scale);
}

// At most kPiece columns from a multiple of it on.
template <typename Rounding>
void decode_piece(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                  float* values) {
  load_row(weight.rows, weight.codes, row, begin, end, values);
  const uint64_t first = row / weight.tiles.rows * weight.tiles.per_row;
  const auto zero = [&](uint64_t tile) {
    return load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
  };
  if (weight.tile_of != nullptr) {
    for (uint64_t i = begin; i < end; ++i) {
      const auto tile = static_cast<uint64_t>(weight.tile_of[i]);
      scale_run<Rounding>(zero(tile), load_scale(weight, first + tile), 1, values + (i - begin));
    }
    return;
  }
  for (uint64_t i = begin; i < end;) {
    const uint64_t tile = i / weight.tiles.columns;
    const uint64_t stop = std::min((tile + 1) * weight.tiles.columns, end);
    scale_run<Rounding>(zero(tile), load_scale(weight, first + tile), stop - i,
                        values + (i - begin));
    i = stop;
  }
}

template <typename Rounding, typename Out>
void decode_row(const ScaledWeight& weight, uint64_t row, uint64_t from, uint64_t to,
                typename Out::Stored* out) {
  float values[kPiece];
  for (uint64_t begin = from; begin < to; begin += kPiece) {
    const uint64_t end = std::min(begin + kPiece, to);
    decode_piece<Rounding>(weight, row, begin, end, values);
    put<Out>(values, end - begin, out + (begin - from), false);
  }
}

}  // namespace

void scaled_read_tiles(const ScaledWeight& weight, uint64_t tile_rows, float* scales,
                       int32_t* zeros) {
  for (uint64_t i = 0; i < tile_rows; ++i) {
    for (uint64_t j = 0; j < weight.tiles.per_row; ++j) {
      const uint64_t at = i * weight.tiles.per_row + j;
      scales[at] = load_scale(weight, at);
      if (zeros == nullptr) continue;
      zeros[at] = static_cast<int32_t>(load_zero(weight.zero_type, weight.rows, weight.tiles,
                                                 weight.zeros, i * weight.tiles.rows, j));
    }
  }
}

void scaled_dequantize(const ScaledWeight& weight, uint64_t row_begin, uint64_t row_end,
                       WeightType out_type, void* out) {
  with_types(weight.rounding, out_type, [&](auto rounding, auto out_tag) {
    using Out = decltype(out_tag);
    auto* values = static_cast<typename Out::Stored*>(out);
    for (uint64_t row = row_begin; row < row_end; ++row) {
      decode_row<decltype(rounding), Out>(weight, row, 0, weight.rows.columns,
                                          values + (row - row_begin) * weight.rows.columns);
    }
  });
}

void scaled_decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                          void* out) {
  const auto& product = *static_cast<const ScaledProduct*>(format);
  with_types(product.weight.rounding, product.out_type, [&](auto rounding, auto out_tag) {
    using Out = decltype(out_tag);
    decode_row<decltype(rounding), Out>(product.weight, row, begin, end,
                                        static_cast<typename Out::Stored*>(out));
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
