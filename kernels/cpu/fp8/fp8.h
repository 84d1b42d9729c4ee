// Weights in float8 E4M3FN with one scale for each tile of the matrix.
//
// Tiles: transformers 5.23, integrations/finegrained_fp8.py (Fp8Quantize, Fp8Dequantize), the
// format of DeepSeek-V3. Rows: FBGEMM's quantize_fp8_per_row, a tile of one row.
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

// How scales are stored: a floating dtype, or a power of two as its biased exponent (E8M0).
enum class Fp8ScaleType { f32, f16, bf16, e8m0 };

// A matrix [.., columns] cut into tiles; the last ones of a row and of the matrix may be smaller.
struct Fp8Tiles {
  uint64_t columns, tile_rows, tile_columns;
  uint64_t tiles_per_row() const { return (columns + tile_columns - 1) / tile_columns; }
};

// A stored weight as LinearWeight::format.
struct Fp8Product {
  const uint8_t* codes;
  Fp8Tiles tiles;
  Fp8ScaleType scale_type;
  const void* scales;
  WeightType out_type;
};

struct Fp8Kernels {
  // Encodes rows [row_begin, row_end), whole tiles: codes [rows][columns], scales [tiles][tiles per
  // row] as f32, or as e8m0 rounded up to a power of two. A tile of zeros has scale 1.
  void (*quantize_tiles)(WeightType type, const void* weight, Fp8Tiles tiles, Fp8ScaleType scale,
                         uint64_t row_begin, uint64_t row_end, uint8_t* codes, void* scales);
  // One float32 scale a row, at least 1 / (448 * 512).
  void (*quantize_rows)(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
                        uint64_t row_end, uint8_t* codes, float* scales);
  // Encodes rows with the scales that stand in `scales`.
  void (*quantize_on)(WeightType type, const void* weight, Fp8Tiles tiles, Fp8ScaleType scale,
                      const void* scales, uint64_t row_begin, uint64_t row_end, uint8_t* codes);
  // The first `count` scales as float32.
  void (*read_scales)(Fp8ScaleType scale, const void* scales, uint64_t count, float* out);
  // Decodes rows to out[0 ...): code times scale in float32, rounded to out_type.
  void (*dequantize)(const uint8_t* codes, Fp8Tiles tiles, Fp8ScaleType scale, const void* scales,
                     uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out);
  // LinearWeight::decode_floats; `format` is an Fp8Product.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const Fp8Kernels& fp8_kernels(Isa isa);

}  // namespace precis::kernels
