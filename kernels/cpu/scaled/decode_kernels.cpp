// Compiled once for each instruction set.
#include "kernels/cpu/scaled/decode.h"

#include "kernels/cpu/scaled/linear.h"
#include "kernels/cpu/scaled/tile_values.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kPiece = 1024;  // columns at once

template <typename Rounding, typename Out>
inline void scale_run(float zero, float scale, uint64_t count, float* values) {
  const auto value = value_of<Rounding, Out>(zero, scale);
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) value(Floats::load(values + i)).store(values + i);
#endif
  for (; i < count; ++i) values[i] = value(values[i]);
}

// At most kPiece columns from a multiple of it on.
template <typename Rounding, typename Out>
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
      scale_run<Rounding, Out>(zero(tile), load_scale(weight, first + tile), 1,
                               values + (i - begin));
    }
    return;
  }
  const uint64_t begin_tile = begin / weight.tiles.columns;
  const uint64_t end_tile = (end + weight.tiles.columns - 1) / weight.tiles.columns;
  float scales[kPiece + 1];
  load_scales(weight, first + begin_tile, first + end_tile, scales);
  uint64_t i = begin;
  for (uint64_t tile = begin_tile; tile < end_tile; ++tile) {
    const uint64_t stop = std::min((tile + 1) * weight.tiles.columns, end);
    scale_run<Rounding, Out>(zero(tile), scales[tile - begin_tile], stop - i, values + (i - begin));
    i = stop;
  }
}

// Columns [begin, end) of a row of which has_nibble_tiles is true; `begin` is even.
template <typename Rounding, typename Out>
void decode_nibbles(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                    typename Out::Stored* out) {
  const NibbleNumbers numbers(weight.rows);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
  const uint64_t first = row / weight.tiles.rows * weight.tiles.per_row;
  for (uint64_t i = begin; i < end;) {
    const uint64_t tile = i / weight.tiles.columns;
    const uint64_t stop = std::min((tile + 1) * weight.tiles.columns, end);
    const float zero =
        load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
    const ValueTable<Out> table(numbers.list,
                                value_of<Rounding, Out>(zero, load_scale(weight, first + tile)));
    table.look_up_nibbles(codes + i / 2, stop - i, out + (i - begin));
    i = stop;
  }
}

// Columns [begin, end) of a row of bytes, tile after tile.
template <typename Bytes, typename Rounding, typename Out>
void decode_byte_row(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                     typename Out::Stored* out) {
  const uint8_t* codes = static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
  const uint64_t first = row / weight.tiles.rows * weight.tiles.per_row;
  for (uint64_t i = begin; i < end;) {
    const uint64_t tile = i / weight.tiles.columns;
    const uint64_t stop = std::min((tile + 1) * weight.tiles.columns, end);
    const float zero =
        load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
    decode_bytes<Bytes, Out>(codes + i, stop - i,
                             value_of<Rounding, Out>(zero, load_scale(weight, first + tile)),
                             out + (i - begin));
    i = stop;
  }
}

template <typename Rounding, typename Out>
void decode_row(const ScaledWeight& weight, uint64_t row, uint64_t from, uint64_t to,
                typename Out::Stored* out) {
  if (has_nibble_tiles(weight)) return decode_nibbles<Rounding, Out>(weight, row, from, to, out);
  if (weight.tile_of == nullptr && weight.rows.type == NarrowType::int8)
    return decode_byte_row<SignedBytes, Rounding, Out>(weight, row, from, to, out);
  if (weight.tile_of == nullptr && weight.rows.type == NarrowType::float8_e4m3fn)
    return decode_byte_row<Float8E4M3FN, Rounding, Out>(weight, row, from, to, out);
  float values[kPiece];
  for (uint64_t begin = from; begin < to; begin += kPiece) {
    const uint64_t end = std::min(begin + kPiece, to);
    decode_piece<Rounding, Out>(weight, row, begin, end, values);
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
