// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/float8.h"

#include <algorithm>
#include <bit>

#include "kernels/device/dequantize.h"
#include "kernels/device/float8_gemm.h"
#include "kernels/device/formats/float8_tile.h"
#include "kernels/device/host_runtime.h"
#include "kernels/device/quantize_float8.h"
#include "kernels/device/quantize_float8_whole.h"
#include "kernels/device/typed.h"
#if !defined(__HIP__)
#include "kernels/device/float8_wgmma.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr const char* kTileRule =
    "float8: the sides of a tile are powers of two, at least 8 columns, or cover the matrix";

// torch.finfo's eps.
constexpr float kHalfEpsilon = 0x1p-10f, kBFloat16Epsilon = 0x1p-7f;

// The shift that divides by a side; 31 where it covers `size`.
uint32_t shift_of(uint32_t side, uint32_t size) {
  return side == 0 || side >= size ? 31 : static_cast<uint32_t>(std::countr_zero(side));
}

const char* check(Float8TileShape tile, uint32_t rows, uint32_t columns) {
  const bool whole_rows = tile.rows == 0 || tile.rows >= rows;
  const bool whole_columns = tile.columns == 0 || tile.columns >= columns;
  if (!whole_rows && !std::has_single_bit(tile.rows)) return kTileRule;
  if (!whole_columns && (tile.columns < 8 || !std::has_single_bit(tile.columns))) return kTileRule;
  return rows >= 1u << 31 || columns >= 1u << 31 ? "float8: sizes are below 2^31" : nullptr;
}

StoredScale kernel_scale(Fp8ScaleType type) {
  switch (type) {
    case Fp8ScaleType::f32:
      return StoredScale::f32;
    case Fp8ScaleType::f16:
      return StoredScale::f16;
    case Fp8ScaleType::bf16:
      return StoredScale::bf16;
    case Fp8ScaleType::e8m0:
      break;
  }
  return StoredScale::e8m0;
}

TileScales kernel_scales(Fp8ScaleType type, const void* scales, Float8TileShape tile, uint32_t rows,
                         uint32_t columns) {
  const uint32_t shift = shift_of(tile.columns, columns);
  const uint32_t per_row = shift == 31 ? 1 : (columns + tile.columns - 1) / tile.columns;
  return {kernel_scale(type), shift_of(tile.rows, rows), shift, per_row, scales};
}

Float8Tile::Weight kernel_weight(const Float8Tensor& weight) {
  return {weight.rows,
          weight.columns,
          weight.codes,
          kernel_scales(weight.scale_type, weight.scales, weight.tile, weight.rows, weight.columns),
          weight.type == Float8Type::e4m3fn ? kE4M3FNCodes : kE5M2Codes,
          weight.rounding == WeightType::f16    ? Rounding::half
          : weight.rounding == WeightType::bf16 ? Rounding::bfloat16
                                                : Rounding::none};
}

Float8Encoding encoding_of(Float8Rule rule, Float8Type format, uint32_t rows, uint32_t columns,
                           Float8TileShape tile) {
  const bool e4m3fn = format == Float8Type::e4m3fn;
  const uint32_t tile_rows = tile.rows == 0 ? rows : std::min(tile.rows, rows);
  const uint32_t tile_columns = tile.columns == 0 ? columns : std::min(tile.columns, columns);
  return {rule,
          e4m3fn ? kE4M3FNEncoder : kE5M2Encoder,
          e4m3fn ? 448.0f : 57344.0f,
          rows,
          columns,
          tile_rows,
          tile_columns,
          (columns + tile_columns - 1) / tile_columns,
          static_cast<uint32_t>(std::bit_width(tile_columns - 1)),
          0.0f,
          0.0f};
}

}  // namespace

const char* dequantize_float8(const Float8Tensor& weight, WeightType out_type, void* out,
                              void* stream) {
  if (const char* error = check(weight.tile, weight.rows, weight.columns)) return error;
  return with_element(out_type, [&](auto element) {
    using Element = decltype(element);
    return launch_dequantize<Float8Tile>(kernel_weight(weight), static_cast<Element*>(out), stream);
  });
}

const char* linear_float8(const Float8Tensor& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream) {
  if (const char* error = check(weight.tile, weight.rows, weight.columns)) return error;
  return launch_linear<Float8Tile>(kernel_weight(weight), activation, x, bias, y, m, stream);
}

const char* quantize_float8_tiles(WeightType type, const void* matrix, uint32_t rows,
                                  uint32_t columns, Float8TileShape tile, Fp8ScaleType scale_type,
                                  uint8_t* codes, void* scales, uint32_t* workspace, void* stream) {
  if (const char* error = check(tile, rows, columns)) return error;
  if (rows == 0 || columns == 0) return nullptr;
  if (scale_type != Fp8ScaleType::f32 && scale_type != Fp8ScaleType::e8m0)
    return "float8: scales are encoded in float32 or E8M0";
  const Float8Encoding encoding =
      encoding_of(scale_type == Fp8ScaleType::f32 ? Float8Rule::tiles : Float8Rule::tiles_e8m0,
                  Float8Type::e4m3fn, rows, columns, tile);
  const bool whole = encoding.tile_rows == rows && encoding.tile_columns == columns && rows > 1;
  if (whole && workspace == nullptr) return "float8: a scale of the whole matrix needs a workspace";
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(matrix);
    if (whole)
      return launch_quantize_float8_whole(encoding, values, codes, scales, workspace, stream);
    return launch_quantize_float8<Element, false>(encoding, values, codes, scales, stream);
  });
}

const char* quantize_float8_rows(WeightType type, const void* matrix, uint32_t rows,
                                 uint32_t columns, uint8_t* codes, float* scales, void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  Float8Encoding encoding =
      encoding_of(Float8Rule::rows, Float8Type::e4m3fn, rows, columns, {1, 0});
  encoding.smallest = 1.0f / (448.0f * 512.0f);
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_float8<Element, false>(encoding, static_cast<const Element*>(matrix),
                                                  codes, scales, stream);
  });
}

const char* quantize_torchao_float8(Float8Type format, WeightType type, const void* matrix,
                                    uint32_t rows, uint32_t columns, bool whole, uint8_t* codes,
                                    float* scales, void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  const Float8TileShape tile{whole ? 0u : 1u, 0};
  const Float8Encoding encoding = encoding_of(Float8Rule::torchao, format, rows, columns, tile);
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(matrix);
    if (!whole)
      return launch_quantize_float8<Element, false>(encoding, values, codes, scales, stream);
    const StreamMemory partials(kFloat8Partials * sizeof(uint32_t), stream);
    if (partials.error() != nullptr) return partials.error();
    return launch_quantize_float8_whole(encoding, values, codes, scales,
                                        static_cast<uint32_t*>(partials.data()), stream);
  });
}

const char* quantize_float8_activations(WeightType type, const void* x, uint32_t m,
                                        uint32_t columns, const ActivationRounding& rounding,
                                        uint8_t* codes, float* scales, void* stream) {
  const bool compressed = rounding.rule == ActivationRule::compressed_float8;
  if (!compressed && rounding.rule != ActivationRule::float8)
    return "float8: activations are encoded by the rules of float8";
  const Float8TileShape tile{1, static_cast<uint32_t>(rounding.group)};
  if (const char* error = check(tile, m, columns)) return error;
  if (m == 0 || columns == 0) return nullptr;
  Float8Encoding encoding =
      encoding_of(compressed ? Float8Rule::compressed_activations : Float8Rule::activations,
                  Float8Type::e4m3fn, m, columns, tile);
  encoding.bound = rounding.largest;
  encoding.smallest = !compressed               ? rounding.smallest_scale
                      : type == WeightType::f16 ? kHalfEpsilon
                                                : kBFloat16Epsilon;
  return with_activation(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_float8<Element, false>(encoding, static_cast<const Element*>(x), codes,
                                                  scales, stream);
  });
}

const char* quantize_quanto_bytes(QuantoByteType format, WeightType type, const void* matrix,
                                  uint32_t rows, uint32_t columns, uint8_t* codes, void* scales,
                                  void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  const bool integers = format == QuantoByteType::int8;
  Float8Encoding encoding =
      encoding_of(integers ? Float8Rule::quanto_int8 : Float8Rule::quanto,
                  format == QuantoByteType::float8_e5m2 ? Float8Type::e5m2 : Float8Type::e4m3fn,
                  rows, columns, {1, 0});
  if (integers) encoding.largest = 127.0f;
  return with_element(type, [&](auto element) {
    using Element = decltype(element);
    return launch_quantize_float8<Element, true>(encoding, static_cast<const Element*>(matrix),
                                                 codes, scales, stream);
  });
}

const char* linear_float8_float8(const Float8Tensor& weight, const Float8Activations& x,
                                 WeightType activation, const void* bias, void* y, uint32_t m,
                                 void* stream) {
  if (const char* error = check(weight.tile, weight.rows, weight.columns)) return error;
  const Float8TileShape x_tile{1, x.tile_columns};
  if (const char* error = check(x_tile, m, weight.columns)) return error;
  if (weight.type != Float8Type::e4m3fn) return "float8 products: both sides are E4M3FN";
  if (weight.columns % kRun != 0) return "float8 products: in_features is a multiple of 8";
  if (m == 0 || weight.rows == 0) return nullptr;
  const auto width = [&](uint32_t columns) {
    return columns == 0 || columns >= weight.columns ? weight.columns : columns;
  };
  const uint32_t block = std::min(width(weight.tile.columns), width(x.tile_columns));
  if (block < weight.columns && block < kFloat8ProductTile)
    return "float8 products: a tile has at least 64 columns";
  Float8Product product{m, weight.rows, weight.columns, block, {}, {}};
  product.x = {x.codes, kernel_scales(Fp8ScaleType::f32, x.scales, x_tile, 2, weight.columns)};
  product.weight = {weight.codes, kernel_scales(weight.scale_type, weight.scales, weight.tile,
                                                weight.rows, weight.columns)};
  return with_activation(activation, [&](auto element) {
    using Element = decltype(element);
    const auto* typed_bias = static_cast<const Element*>(bias);
    auto* typed_y = static_cast<Element*>(y);
#if !defined(__HIP__)
    // Even for few rows: mma.sync's float8 goes through float16.
    if (has_float8_wgmma(product) && wgmma_available())
      return launch_float8_wgmma(product, typed_bias, typed_y, stream);
#endif
    return launch_float8_gemm(product, typed_bias, typed_y, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
