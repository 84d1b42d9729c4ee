// HIGGS' weights on a device, in the order of FLUTE's kernels. The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/device/rotation.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// Columns are a multiple of 8, rows of those that are packed together.
struct HiggsTensor {
  uint32_t rows, columns, bits;  // bits: 2, 3 or 4
  uint32_t tile;                 // words of neighbouring rows
  uint32_t group;                // columns of a scale, a multiple of 8
  const uint16_t* words;         // [rows * bits / 16][columns]
  StoredFloats scales;           // [rows][columns / group], float16 or bfloat16
  const uint32_t* pairs;         // [2^(2 * bits)], two numbers of the scales' dtype each
  Rotation rotation;             // by twos
};

// out[rows][columns] of out_type, from products and sums in double.
const char* dequantize_higgs(const HiggsTensor& weight, WeightType out_type, void* out,
                             void* stream);

constexpr uint64_t higgs_workspace(uint64_t m, uint64_t columns) {
  return m * columns * sizeof(uint16_t);
}

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit; rotated x is rounded to its dtype.
const char* linear_higgs(const HiggsTensor& weight, WeightType activation, const void* x,
                         const void* bias, void* y, uint32_t m, void* workspace, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
