// torchao's weights (0.18: quantization/quant_primitives.py and the tensor classes of
// quantization/quantize_/workflows). All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

// How codes lie in `qdata`.
enum class AoCodes {
  int8,           // Int8Tensor, IntxUnpackedToInt8Tensor: one byte an element
  float8_e4m3fn,  // Float8Tensor
  float8_e5m2,
  int4_pairs,  // Int4Tensor: signed, the even column in the lower half of a byte
  int4_tiles   // Int4TilePackedTo4dTensor: unsigned, in the order of CUDA's tinygemm
};

// Blocks of `block` neighbours of a row have a scale each, or the whole weight has one.
struct AoBlocks {
  uint64_t columns, block;
  bool whole = false;
  uint64_t per_row() const { return columns / block; }
  uint64_t index(uint64_t row, uint64_t column) const {
    return whole ? 0 : row * per_row() + column / block;
  }
};

struct AoWeight {
  AoCodes codes;
  const void* qdata;
  uint64_t rows, columns;
  // Elements with one scale. int4: block_rows is 1.
  uint64_t block_rows, block;
  WeightType scale_type;
  // [rows / block_rows][columns / block]; pairs: [columns / block][rows]; tiles: [padded columns /
  // block][padded rows][2], a scale and a zero point.
  const void* scales;
  const int8_t* zero_points;             // int8 codes: shaped like the scales; null: 0
  const void* zeros;                     // pairs: shaped like the scales
  WeightType dtype;                      // what values are rounded to
  uint64_t padded_rows, padded_columns;  // tiles
};

// What AoDecoders::decode_floats is handed: values rounded to `out`.
struct AoProductWeight {
  AoWeight weight;
  WeightType out;
  // Pairs: scales and zeros row by row, [rows][columns / block] of the scales' type. As they are
  // stored, those of a row lie so far apart that all meet in a few sets of the cache.
  std::vector<std::byte> row_scales, row_zeros;
};

struct AoDecoders {
  // Rows [row_begin, row_end) to out[0 ...), rounded to the weight's dtype first.
  void (*dequantize)(const AoWeight& weight, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // LinearWeight::decode_floats over an AoProductWeight.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const AoDecoders& ao_decoders(Isa isa);

// A range of integer codes.
struct AoCodeRange {
  int low, high;
};

struct AoEncoders {
  // Smallest and largest value of each block of rows [row_begin, row_end), 0 included; a NaN wins.
  void (*ranges)(WeightType type, const void* weight, const AoBlocks& blocks, uint64_t row_begin,
                 uint64_t row_end, float* lows, float* highs);
  // weight * (1 / scale) + zero point, rounded and clamped. rounded: each step is rounded to the
  // weight's dtype, as for scales of that dtype.
  void (*int8_codes)(WeightType type, const void* weight, const AoBlocks& blocks,
                     const float* scales, const int8_t* zero_points, AoCodeRange range,
                     bool rounded, uint64_t row_begin, uint64_t row_end, int8_t* codes);
  // weight / scale, clamped to the finite numbers of the format.
  void (*float8_codes)(AoCodes format, WeightType type, const void* weight, const AoBlocks& blocks,
                       const float* scales, uint64_t row_begin, uint64_t row_end, uint8_t* codes);
  // Int4Tensor: scale and zero point from each block's minimum and maximum, in float32; stored in
  // the weight's dtype.
  void (*int4_pairs)(WeightType type, const void* weight, uint64_t rows, uint64_t columns,
                     uint64_t block, uint64_t row_begin, uint64_t row_end, uint8_t* codes,
                     void* scales, void* zeros);
  // Int4TilePackedTo4dTensor of a bfloat16 weight, each step rounded to bfloat16: rows [8 *
  // tile_begin, 8 * tile_end) of the padded matrix.
  void (*int4_tiles)(const uint16_t* weight, uint64_t rows, uint64_t columns, uint64_t block,
                     uint64_t padded_rows, uint64_t padded_columns, uint64_t tile_begin,
                     uint64_t tile_end, uint32_t* qdata, uint16_t* scales_and_zeros);
};

const AoEncoders& ao_encoders(Isa isa);

// choose_qparams_affine's mapping types.
enum class AoMapping { symmetric, symmetric_no_clipping_error, asymmetric };

struct AoParameters {
  float scale;
  int8_t zero_point;
};

// Scale and zero point of a block whose values lie in [low, high], each step rounded to `type`.
// smallest: no scale is below it.
AoParameters ao_parameters(AoMapping mapping, WeightType type, AoCodeRange range, float smallest,
                           float low, float high);

// The scale of a float8 block: its largest magnitude over `largest`, rounded to `type`.
float ao_float8_scale(WeightType type, AoCodes format, float low, float high);

// finfo(type).smallest_normal.
float smallest_normal(WeightType type);

}  // namespace precis::kernels
