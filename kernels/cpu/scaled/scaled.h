// Weights stored as narrow numbers with a scale, and perhaps a zero point, for each tile of the
// matrix: value = (number - zero point) * scale.
//
// compressed-tensors 0.20 (quantization/lifecycle/forward_helpers.py,
// quantization/utils/helpers.py, compressors/): every step is rounded to the dtype that torch
// computes it in. All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

enum class NarrowType {
  // `bits` bits with 2^(bits - 1) added, in words of 32 bits: one little-endian stream a row, or,
  // when padded, 32 / bits whole numbers a word.
  packed_int,
  int8,
  float8_e4m3fn,
  float6_e2m3,  // four in three bytes, the first in the lowest bits
  float4_e2m1,  // two in a byte, the first in the lower nibble
  // Two's complement of 4 bits: a byte holds one column of two rows, the first in the lower nibble.
  int4_row_pairs,
};

// How a row of the numbers is stored.
struct NarrowRows {
  NarrowType type;
  int bits = 8;  // of packed_int
  bool padded = false;
  uint64_t columns = 0;

  // Bytes of a row, or of a pair of rows. A format that packs needs whole bytes or words: the last
  // is filled with zeros.
  uint64_t row_bytes() const;
  // Where a row, or the pair that it is of, begins.
  uint64_t offset(uint64_t row) const {
    return (type == NarrowType::int4_row_pairs ? row / 2 : row) * row_bytes();
  }
};

enum class ScaleType { f32, f16, bf16, e8m0, e4m3fn };

// Tiles of a matrix; the last ones of a row and of a column of tiles may be smaller.
struct ScaleTiles {
  uint64_t rows = 1, columns = 1;  // of a tile
  uint64_t per_row = 1;            // tiles side by side
};

enum class ZeroType {
  none,
  int8,    // one beside each scale
  packed,  // as the numbers, but along the rows: word [row * bits / 32][tile]
};

struct ScaledWeight {
  NarrowRows rows;
  const void* codes;
  ScaleType scale_type;
  const void* scales;
  ScaleTiles tiles;
  // Scales are divided by `divisor` and multiplied by `factor` in float32.
  float divisor = 1, factor = 1;
  ZeroType zero_type = ZeroType::none;
  const void* zeros = nullptr;
  // The tile of each column, all below tiles.per_row; null: column / tiles.columns.
  const int32_t* tile_of = nullptr;
  // What the difference and the product are rounded to.
  WeightType rounding = WeightType::f32;
};

// A ScaledWeight as LinearWeight::format, decoded to float32 or bfloat16.
struct ScaledProduct {
  ScaledWeight weight;
  WeightType out_type;
};

enum class ScaleRule {
  own,         // in the dtype of the weight
  two_levels,  // NVFP4's: e4m3fn, relative to a scale of the whole weight
  exponent,    // MX's: e8m0
  // The same of E2M1 as Triton's kernels have it: the power of two at or above absmax / 6, ties
  // away from zero, products in float32.
  exponent_above,
  // The exponent of AMD Quark: no zero of E2M1 is negative.
  exponent_positive_zero,
  // The first rule as AMD Quark has it: integers are multiplied by the scale's reciprocal in
  // float32, a zero keeps its sign, and a tile of zeros has the eps of float32.
  own_reciprocal,
  // The rest are ModelOpt's. Scales in float32, of integers over the largest positive one; by the
  // scale of a whole weight torch divides in the weight's dtype, by others in float32.
  float32,
  // e4m3fn, times a scale of the whole weight; a tile of zeros has 1.
  two_levels_product,
  // e8m0: the power of two at or above absmax over the largest number, by way of a logarithm in
  // float32; of E2M1 with ties toward zero, and with zeros that are negative.
  exponent_ceiling,
};

struct ScaledEncoding {
  NarrowRows rows;
  ScaleTiles tiles;
  ScaleRule scale_rule = ScaleRule::own;
  bool symmetric = true;                // false: integers with a zero point
  ZeroType zero_type = ZeroType::none;  // where it is stored
  // The bits of an integer, also where each has a byte.
  int bits = 8;
  // Scales that were found elsewhere, numbers of their dtype, [tiles] of the whole weight; null:
  // `scale_rule` finds them. zeros: likewise, less 2^(bits - 1); null: no zero points.
  const float* given_scales = nullptr;
  const int32_t* given_zeros = nullptr;
};

// Smallest and largest number of (a part of) a weight, and 0; both NaN when one of them is.
struct ValueRange {
  float low = 0, high = 0;
};

struct ScaledKernels {
  ValueRange (*range)(WeightType type, const void* weight, uint64_t begin, uint64_t end);
  // ScaleRule::two_levels: what the scales of a weight with this range are multiplied by.
  float (*global_scale)(WeightType type, ValueRange whole);
  // Encodes rows [row_begin, row_end): whole tiles, 32 at a time where zero points are packed, and
  // pairs where codes are. codes: as `rows` says. scales: as the rule says, [tiles]. whole: the
  // range of the weight where one tile covers it all, else null.
  void (*quantize)(WeightType type, const void* weight, const ScaledEncoding& encoding,
                   const ValueRange* whole, float global_scale, uint64_t row_begin,
                   uint64_t row_end, void* codes, void* scales, void* zeros);
  // Scales and, unless null, zero points of the tiles of `tile_rows` rows of tiles.
  void (*read_tiles)(const ScaledWeight& weight, uint64_t tile_rows, float* scales, int32_t* zeros);
  // Decodes rows to out[0 ...), rounded to out_type.
  void (*dequantize)(const ScaledWeight& weight, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // LinearWeight::decode_floats; `format` is a ScaledProduct.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const ScaledKernels& scaled_kernels(Isa isa);

}  // namespace precis::kernels
