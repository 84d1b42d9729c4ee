// Rotated columns on a device (kernels/device/rotation.h). The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/device/rotation.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[m][columns]: x[m][columns] rotated and rounded to its dtype, f16 or bf16.
const char* rotate_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                               const Rotation& rotation, void* out, void* stream);

// out[rows][columns] of out_type: rotated numbers.
const char* dequantize_rotated(const StoredFloats& numbers, uint32_t rows, uint32_t columns,
                               const Rotation& rotation, WeightType out_type, void* out,
                               void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
