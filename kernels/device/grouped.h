// Group-wise integers on a device: GPTQ, AWQ, HQQ, optimum-quanto's qint4 and qint2, torchao's int8
// and int4. The rules of kernels/device/bitsandbytes.h hold.
//
// Stored weights are decoded as they are. Products read codes of 4 or 8 bits as GPTQ, AWQ's gemm
// and gemv, and torchao store them; those of the others `repack` brings into rows, once, when a
// weight is loaded. Scales it brings into rows for all.
#pragma once

#include <cstdint>
#include <variant>

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/gptq/gptq.h"
#include "kernels/cpu/hqq/hqq.h"
#include "kernels/cpu/torchao/torchao.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

struct GptqTensor {
  GptqFormat format;
  GptqShape shape;
  const uint32_t *qweight, *qzeros;
  WeightType scale_type;
  const void* scales;
  const int32_t* group_of;  // of each column (desc_act), or null
  // Products of scattered groups: codes are brought into rows with column order[i] at place i,
  // where groups are neighbours, and x comes in that order (gather_columns of activations.h).
  bool in_group_order = false;
  const uint32_t* order = nullptr;
};

struct AwqTensor {
  AwqLayout layout;
  AwqShape shape;
  const void *qweight, *qzeros;
  WeightType scale_type;
  const void* scales;
};

struct HqqTensor {
  HqqWeight weight;
  uint32_t rows, columns;
};

struct QuantoGroupsTensor {
  int bits;  // 4 or 2
  uint32_t rows, columns, group_size;
  const uint8_t* packed;
  WeightType scale_type;
  const void *scales, *shifts;
};

// The codes are not float8; kernels/device/float8.h has those.
using TorchaoTensor = AoWeight;

using GroupedTensor =
    std::variant<GptqTensor, AwqTensor, HqqTensor, QuantoGroupsTensor, TorchaoTensor>;

// out[rows][columns] of out_type: the values of kernels/cpu.
const char* dequantize_groups(const GroupedTensor& weight, WeightType out_type, void* out,
                              void* stream);

enum class CodesStand : uint32_t;

// A weight as products read it: codes of 4 or 8 bits, and a float32 scale and offset for each group
// of a row.
struct GroupedRows {
  uint32_t rows, columns, group_size;
  int bits;
  bool offset_added;  // (code - base) * scale + offset instead of (code - base - offset) * scale
  bool in_place;      // the stored codes are used where they are, `flip` applied
  CodesStand stand;   // formats/grouped.h
  uint32_t flip;      // of the bits of a word of codes
  float base;
  WeightType rounding, inner;  // of a value, and of the first step
  const uint32_t* codes;       // those that `repack` fills: [rows][columns * bits / 32]
  // [rows][groups][2], or [groups][rows][2] for codes in columns; or, of HQQ with axis 0, whose row
  // r has those of row r % scale_rows, pairs of 16 bits: [scale_rows][columns].
  const float* scales;
  uint32_t scale_rows = 0;

  uint32_t groups() const { return (columns + group_size - 1) / group_size; }
  uint64_t code_words() const {
    return uint64_t{rows} * columns * static_cast<uint32_t>(bits) / 32;
  }
  uint64_t scale_count() const {
    return scale_rows != 0 ? uint64_t{scale_rows} * columns : uint64_t{rows} * groups() * 2;
  }
};

// What `weight` is in rows; codes are those stored where they are used in place, else null, and
// scales are null. An error where eight neighbours of a row may have different scales: groups
// that cross rows, and GPTQ with desc_act, unless in_group_order; and of HQQ with axis 0 where no
// whole rows share their scales, or steps are not rounded to 16 bits.
const char* plan_rows(const GroupedTensor& weight, GroupedRows* out);

// Fills codes, null where they are used in place, and scales, of the size that plan_rows gives.
const char* repack(const GroupedTensor& weight, uint32_t* codes, float* scales, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_groups(const GroupedRows& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream);

// kernels/cpu/quanto's quantize_groups and pack_planes of a whole weight of `groups` groups, with
// tinygemm_shift behind it where `through_tinygemm`. scales, shifts: [groups] of dtype `type`.
const char* quantize_quanto_groups(int bits, WeightType type, const void* matrix, uint64_t groups,
                                   uint32_t group_size, bool through_tinygemm, uint8_t* packed,
                                   void* scales, void* shifts, void* stream);

// kernels/cpu/hqq's fit and packing of a whole weight with axis 1: up to `iterations`, until the
// mean error no longer falls. The errors of `together` groups are summed first. Where the fit takes
// any iteration, the call waits for it: exact is false for a weight with so large an error that the
// proximal operator takes a power of it, whose bits are those of the C library.
struct HqqEncoding {
  HqqGrid grid;
  int levels;  // the largest code
  bool round_zero;
  int iterations;
  uint64_t together;
};
const char* quantize_hqq(WeightType type, const void* matrix, const HqqEncoding& encoding,
                         void* packed, void* scales, void* zeros, bool* exact, void* stream);

// kernels/cpu/gptq's quantize of a whole weight. Groups of several a row are multiples of 32.
const char* quantize_gptq(WeightType type, const void* weight, GptqFormat format, bool symmetric,
                          const GptqShape& shape, uint32_t* qweight, uint32_t* qzeros,
                          uint16_t* scales, void* stream);

// kernels/cpu/awq's quantize of a whole weight. Groups are multiples of 8, of 32 in gemv_fast.
const char* quantize_awq(WeightType type, const void* weight, AwqLayout layout,
                         const AwqShape& shape, void* qweight, void* qzeros, uint16_t* scales,
                         void* stream);

// How torchao finds a scale for `block` neighbours (kernels/cpu/torchao's ao_parameters).
struct TorchaoInt8Rule {
  uint64_t block;
  AoMapping mapping;
  AoCodeRange range;
  float smallest;     // scale
  bool in_own_dtype;  // scales have the weight's dtype, which every step is rounded to; or float32
};
const char* quantize_torchao_int8(WeightType type, const void* weight, uint64_t rows,
                                  uint64_t columns, const TorchaoInt8Rule& rule, int8_t* codes,
                                  void* scales, int8_t* zero_points, void* stream);

// kernels/cpu/torchao's int4_pairs of a whole weight.
const char* quantize_torchao_int4(WeightType type, const void* weight, uint64_t rows,
                                  uint64_t columns, uint64_t block, uint8_t* codes, void* scales,
                                  void* zeros, void* stream);

// kernels/cpu/torchao's int4_tiles of a whole bfloat16 weight.
const char* quantize_torchao_tiles(const uint16_t* weight, uint64_t rows, uint64_t columns,
                                   uint64_t block, uint64_t padded_rows, uint64_t padded_columns,
                                   uint32_t* qdata, uint16_t* scales_and_zeros, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
