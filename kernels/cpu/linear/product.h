// Products of activations with quantized weights: y[rows, out_features] = x W^T
// + bias.
//
// A format brings a function that decodes part of a row; everything else is
// shared. A few rows of activations meet each decoded row at once (a
// matrix-vector product, bound by reading the weight); for more rows, the
// weight is decoded block by block into the cache and multiplied there by
// activations packed beforehand. The float weight never exists as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

// In what numbers weights and activations are multiplied.
enum class Arithmetic {
  float32,   // fused multiply-add
  bfloat16,  // pairs of bfloat16 into float32 sums: weights are rounded to
             // bfloat16
  // Both sides as numbers that bfloat16 holds exactly, with a float32 scale for
  // `group` neighbours: sums of a group are scaled before they are added up.
  // For float8; activations as `rounding` says.
  bfloat16_groups,
  // Both sides as integers of 8 bits, summed exactly. int8_rows: one scale a
  // row on both sides, of LLM.int8() (bitsandbytes 0.50,
  // backends/default/ops.py), or as `rounding` says.
  // int8_blocks: activations in blocks of 32 with a float32 scale, 1/127 of the
  // largest magnitude: GGUF's types, as ggml multiplies them.
  int8_rows,
  int8_blocks,
};

// For weights that decode to floats: bfloat16 where the activations are and the
// machine has the instruction, else float32.
Arithmetic float_arithmetic(Isa isa, WeightType activation);

// Whether there is bfloat16_groups for groups of `group` columns.
bool has_bfloat16_groups(Isa isa, uint64_t group);

// Columns that are decoded at once: `begin` of the decoders is a multiple of
// it, and `end` is in_features or begin + kStrip.
inline constexpr uint64_t kStrip = 1024;

// A few rows of activations.
struct ActivationRows {
  const void* numbers;     // [count][stride] of RowDot::x_type, in RowDot::column_order
  uint64_t stride, count;  // stride: in_features
  const float* sums;       // of each RowDot::sum_columns: [count][stride / sum_columns]
  const float* scales;     // RowDot::takes_codes: [count][stride / LinearWeight::block]
};
inline constexpr uint64_t kDotColumns = 128;

// Rows of a weight times few rows of activations, for a format that need not write decoded values
// down in between. in_features is a multiple of kDotColumns.
struct RowDot {
  // sums[i * x.count + j] = row rows[i] of the weight times row j of x; at most kDotRows rows, or
  // neighbours.
  // Null: there is none for the weight, or on this machine.
  void (*multiply)(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                   float* sums) = nullptr;
  // [kDotColumns]: which of every kDotColumns columns stands where in a row of x. Null: as they
  // come.
  const uint8_t* column_order = nullptr;
  uint64_t sum_columns = 0;  // 16, 32, 64 or 128; 0: sums are not read
  // Rows i, i + part, i + 2 * part and so on, of ceil(out_features / sharing) rows a part, stand in
  // the same bytes, or nearly so: they are read one after another. Up to 16; there are no
  // row_scales.
  uint64_t sharing = 1;
  // Whether `multiply` is handed neighbouring rows, up to kDotBlock, for formats that store several
  // rows together; `sharing` is 1.
  bool takes_neighbours = false;
  // What x becomes: bfloat16, or float32 where that is not multiplied by an instruction of its own.
  WeightType x_type = WeightType::bf16;
  // Whether decoded values are the numbers times their scales, in float32; else only x in bfloat16
  // is multiplied so.
  bool is_exact = false;
  // For int8_blocks, of x's codes of 8 bits, in the order of their columns; sums are those of
  // LinearWeight::block codes times their scale.
  bool takes_codes = false;
};
inline constexpr uint64_t kDotBlock = 256;
inline constexpr int kDotRows = 4;

// A stored weight as the product reads it. All pointers outlive it.
struct LinearWeight {
  Arithmetic arithmetic;
  uint64_t out_features, in_features;
  const void* format;  // handed to the decoders

  // float32, bfloat16: columns [begin, end) of `row`, in the dtype of the
  // arithmetic.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                        void* out) = nullptr;
  // In its place, for formats that store several rows together: columns [begin, end) of `rows` rows
  // from `row` on, row i to out[i * stride].
  void (*decode_rows)(const void* format, uint64_t row, uint64_t rows, uint64_t begin, uint64_t end,
                      void* out, uint64_t stride) = nullptr;
  // Few rows of x; without it, rows are decoded.
  RowDot row_dot;
  // Multiplied onto the sums: float32 [out_features], or null.
  const float* row_scales = nullptr;

  // int8_rows: [out_features][in_features], and the largest magnitude of each
  // row. Columns with a magnitude of at least `threshold` in any row of x, if
  // it is above 0, are multiplied as floats.
  const int8_t* codes = nullptr;
  const float* scb = nullptr;
  float threshold = 0;
  // Null: LLM.int8()'s own. Else symmetric integers of a whole row, and `scb` has
  // the scales of the rows themselves.
  const ActivationRounding* rounding = nullptr;

  // bfloat16_groups: columns [begin, end) of `row`, and the scale of each group.
  // rounding->group is `group`, or 0.
  void (*decode_groups)(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                        uint16_t* out, float* scales) = nullptr;
  uint32_t group = 0;

  // int8_blocks: columns [begin, end) of `row` as codes, and a scale and a
  // minimum for each block of `block` columns: value = scale * (code - offset)
  // + minimum.
  void (*decode_codes)(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                       uint8_t* codes, float* scales, float* minimums) = nullptr;
  uint32_t block = 32;    // or 16
  int32_t offset = 0;     // below 128, codes are too
  bool minimums = false;  // false: minimums are neither written nor read
};

// Whether few rows of x go through the format's RowDot.
inline bool has_row_dot(const LinearWeight& weight, WeightType activation) {
  const RowDot& dot = weight.row_dot;
  if (dot.multiply == nullptr) return false;
  if (dot.takes_codes) return weight.arithmetic == Arithmetic::int8_blocks;
  if (dot.x_type == WeightType::bf16) return weight.arithmetic == Arithmetic::bfloat16;
  return weight.arithmetic == Arithmetic::float32 &&
         (activation == WeightType::bf16 || dot.is_exact);
}
struct Activations {
  WeightType type;
  const void* data;
  uint64_t rows, stride;  // stride: elements from row to row
};

// y and the bias have the dtype of the activations.
struct LinearOutput {
  void* data;
  uint64_t stride;
  const void* bias;  // [out_features] or null
};

// Runs body(0) ... body(tasks - 1), possibly at once.
struct TaskRunner {
  uint64_t concurrency;
  std::function<void(uint64_t tasks, const std::function<void(uint64_t)>& body)> run;
};

// Bytes of workspace, aligned to 64, for up to `rows` rows on `concurrency`
// threads.
uint64_t linear_workspace(Isa isa, Arithmetic arithmetic, uint64_t in_features, uint64_t rows,
                          uint64_t concurrency);

// Sums are accumulated in float32, the integer ones exactly. A row of x with a
// NaN or an infinity gives a row of y of NaNs or infinities and touches no
// other row. Re-entrant.
void linear_product(Isa isa, const LinearWeight& weight, const Activations& x,
                    const LinearOutput& y, std::byte* workspace, const TaskRunner& tasks);

}  // namespace precis::kernels
