// Weights to quantize, and one call of each function of precis.quantize/1 with everything that it
// is given.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "validate/subject/guarded_memory.h"
#include "validate/subject/recorded_call.h"
#include "validate/subject/subject.h"

namespace precis::validate {

// A weight that a preset takes, with its plan.
struct Weight {
  Param param;
  std::vector<float> values;  // what the weight's numbers are, rounded to its dtype
  PartPlan plan;
  // Of a weight that a checkpoint has: its parts, and `values` are empty.
  std::shared_ptr<const std::vector<std::vector<std::byte>>> stored;

  uint64_t element_bytes() const { return dtype_bits(param.dtype) / 8; }
  std::string text() const;  // "float32 [128, 256]"
};

// The same bytes in every run: normal numbers of deviation 0.04, scaled.
std::vector<float> normal_numbers(std::size_t count, uint32_t seed, float scale = 1);

// Numbers in memory as `dtype` (f32, f16, bf16) and back.
void store_numbers(DType dtype, std::span<const float> values, std::byte* out);
std::vector<float> load_numbers(DType dtype, std::span<const std::byte> bytes);

// "layer.weight" of a Linear with this dtype and shape.
Param linear_param(DType dtype, std::vector<int64_t> shape);

// What the plugin plans for `param`. Errors: the plugin's refusal.
Result<PartPlan> plan_of(const Instance& instance, const Param& param);

// A weight of these numbers with its plan.
Result<Weight> planned_weight(const Instance& instance, Param param, std::vector<float> values);

// The first of a list of usual shapes that the method takes in this dtype; nothing: it writes none.
std::optional<Weight> fitting_weight(const Instance& instance, DType dtype);
// In the first dtype that it takes.
std::optional<Weight> fitting_weight(const Instance& instance);

struct EncodeOptions {
  Guard guard = Guard::slack;
  std::byte output_fill{0xa5}, workspace_fill{0x5a};
  uint64_t byte_offset = 0;      // view.byte_offset of the weight
  bool misaligned = false;       // the weight is aligned to its element and no more
  int64_t row_gap = 0;           // elements between rows
  uint64_t leave_out = 0;        // parts not given, from the end
  RecordedCall* call = nullptr;  // instead of one of its own
};

// What quantize made.
struct Encoded {
  precis_status status = PRECIS_OK;
  Status outcome;      // the plugin's refusal
  bool intact = true;  // nothing around outputs and workspace was written
  std::vector<std::vector<std::byte>> parts;

  std::vector<std::span<const std::byte>> spans() const { return {parts.begin(), parts.end()}; }
};
Encoded encode(const Instance& instance, const Weight& weight, const EncodeOptions& options = {});

// encode() that succeeds; the parts of a weight that is stored. Errors: the plugin's refusal.
Result<std::vector<std::vector<std::byte>>> encoded_parts(const Instance& instance,
                                                          const Weight& weight);

struct DecodeOptions {
  int64_t row_begin = 0;
  int64_t rows = -1;  // -1: all behind row_begin
  DType dtype = DType::f32;
  Guard guard = Guard::slack;        // around the rows
  Guard parts_guard = Guard::slack;  // around the parts
};
struct Decoded {
  precis_status status = PRECIS_OK;
  Status outcome;
  bool intact = true;
  std::vector<std::byte> bytes;
};
// parts: of the sizes that they have, whatever the plan says.
Decoded decode(const Instance& instance, const Weight& weight,
               std::span<const std::vector<std::byte>> parts, const DecodeOptions& options = {});

// All rows as float32. Errors: the plugin's refusal.
Result<std::vector<float>> decoded_numbers(const Instance& instance, const Weight& weight,
                                           std::span<const std::vector<std::byte>> parts);

// |a - b| / |b| in the Euclidean norm; 0 for empty ones.
double relative_error(std::span<const float> a, std::span<const float> b);

}  // namespace precis::validate
