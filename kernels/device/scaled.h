// Weights of kernels/cpu/scaled on a device: integers of 1 to 8 bits and floats of 4, 6 and 8 bits
// with a scale, and perhaps a zero point, for each tile. The rules of kernels/device/bitsandbytes.h
// hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/scaled/scaled.h"
#include "kernels/device/rotation.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

struct ScaledTensor {
  uint32_t rows;
  ScaledWeight weight;  // its pointers are the device's
};

// out[rows][columns] of out_type: kernels/cpu/scaled's dequantize.
const char* dequantize_scaled(const ScaledTensor& weight, WeightType out_type, void* out,
                              void* stream);

// The same, and each block of columns rotated.
const char* dequantize_rotated_scaled(const ScaledTensor& weight, const Rotation& rotation,
                                      WeightType out_type, void* out, void* stream);
// Where the numbers go: codes, scales and zero points as kernels/cpu/scaled has them.
struct ScaledParts {
  void *codes, *scales, *zeros;
  bool float_scales = false;  // float32 instead of the weight's dtype
};
// What is found over all of a weight.
struct ScaledWhole {
  bool one_tile = false;   // it is the only tile
  float divisor = 0;       // of ScaleRule::two_levels_product: absmax over the scale of the whole
  float* scale = nullptr;  // where that scale goes, and that of ScaleRule::two_levels
};
// matrix[rows][columns] of `type`: kernels/cpu/scaled's quantize, of scales that it finds itself.
const char* quantize_scaled(WeightType type, const void* matrix, uint32_t rows,
                            const ScaledEncoding& encoding, const ScaledWhole& whole,
                            const ScaledParts& parts, void* stream);

// Of a weight whose tiles' columns are scattered (tile_of), codes of 4 or 8 bits: the code of
// column order[i] at i of a row, where tiles are neighbours, as large as the stored codes. With
// these and without tile_of the weight has a product, whose x comes in that order (gather_columns
// of activations.h).
const char* order_scaled(const ScaledTensor& weight, const uint32_t* order, void* codes,
                         void* stream);

// Null where linear_scaled takes the weight: eight neighbours of a row have one scale.
const char* check_scaled_product(const ScaledTensor& weight);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_scaled(const ScaledTensor& weight, WeightType activation, const void* x,
                          const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
