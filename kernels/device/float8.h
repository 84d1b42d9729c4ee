// float8 on a device: E4M3FN and E5M2 with one scale for each tile. The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/fp8/fp8.h"
#include "kernels/cpu/quanto/quanto.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

enum class Float8Type { e4m3fn, e5m2 };

// Sides of a tile: powers of two (of columns at least 8), or 0 for all rows or columns.
struct Float8TileShape {
  uint32_t rows, columns;
};

struct Float8Tensor {
  Float8Type type;
  uint32_t rows, columns;
  const uint8_t* codes;  // [rows][columns]
  Float8TileShape tile;
  Fp8ScaleType scale_type;
  const void* scales;   // [tiles along rows][tiles along columns]
  WeightType rounding;  // what decoded values are rounded to; f32 for kernels/cpu/fp8's
};

// out[rows][columns] of out_type: kernels/cpu/fp8's dequantize, or with `rounding` the dtype of the
// scales kernels/cpu/quanto's dequantize_bytes.
const char* dequantize_float8(const Float8Tensor& weight, WeightType out_type, void* out,
                              void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_float8(const Float8Tensor& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream);

// Words of workspace that quantize_float8_tiles takes for a tile that covers the matrix.
inline constexpr uint32_t kFloat8WorkspaceWords = 1024;

// kernels/cpu/fp8's quantize_tiles, by tiles or as a whole; scales are float32 or E8M0. workspace
// may be null where a tile does not cover the matrix.
const char* quantize_float8_tiles(WeightType type, const void* matrix, uint32_t rows,
                                  uint32_t columns, Float8TileShape tile, Fp8ScaleType scale_type,
                                  uint8_t* codes, void* scales, uint32_t* workspace, void* stream);

// kernels/cpu/fp8's quantize_rows: one float32 scale a row.
const char* quantize_float8_rows(WeightType type, const void* matrix, uint32_t rows,
                                 uint32_t columns, uint8_t* codes, float* scales, void* stream);

// kernels/cpu/torchao's float8 of rows, or with one scale for the whole weight.
const char* quantize_torchao_float8(Float8Type format, WeightType type, const void* matrix,
                                    uint32_t rows, uint32_t columns, bool whole, uint8_t* codes,
                                    float* scales, void* stream);

// codes[m][columns] in E4M3FN and their scales by kernels/cpu/activations' rules float8 and
// compressed_float8; rounding.group is a power of two, or 0. Numbers with an infinity or a NaN
// among them have NaN for their scale.
const char* quantize_float8_activations(WeightType type, const void* x, uint32_t m,
                                        uint32_t columns, const ActivationRounding& rounding,
                                        uint8_t* codes, float* scales, void* stream);

// kernels/cpu/quanto's quantize_bytes: int8 or float8 with one scale of dtype `type` a row.
const char* quantize_quanto_bytes(QuantoByteType format, WeightType type, const void* matrix,
                                  uint32_t rows, uint32_t columns, uint8_t* codes, void* scales,
                                  void* stream);

// Activations in E4M3FN with a float32 scale for each 1 x tile_columns.
struct Float8Activations {
  const uint8_t* codes;   // [m][columns]
  const float* scales;    // [m][tiles]
  uint32_t tile_columns;  // a power of two, at least kFloat8ProductTile; 0: one scale a row
};

// Least columns of a tile that is not a whole row, in a product.
inline constexpr uint32_t kFloat8ProductTile = 64;

// y = x W^T + bias with both in E4M3FN. columns is a multiple of 8. Sums are float32: the error is
// below columns * 2^-23 * sum |w x| before y is rounded; where wgmma adds up, 128 columns at a time
// with about 14 bits, 2^-9 * sum |w x| more.
const char* linear_float8_float8(const Float8Tensor& weight, const Float8Activations& x,
                                 WeightType activation, const void* bias, void* y, uint32_t m,
                                 void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
