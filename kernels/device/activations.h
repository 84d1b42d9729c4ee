// Activations before a product: rounded to numbers that codes of 8 bits or less stand for, in the
// dtype of x; in another order of columns. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[m][columns] of x's dtype, f16 or bf16: kernels/cpu/activations' round, by the rules that
// in_own_dtype names.
const char* round_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                              const ActivationRounding& rounding, void* out, void* stream);

// The same rounding by the rule compressed_integer, symmetric and of whole rows, as codes of 8
// bits: codes[m][columns] and scales[m]. A row with an infinity or a NaN has NaN for its scale.
const char* encode_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                               const ActivationRounding& rounding, int8_t* codes, float* scales,
                               void* stream);

// out[m][columns] of 16-bit numbers: column i is column order[i] of x. columns is a multiple of 8.
const char* gather_columns(const void* x, uint32_t m, uint32_t columns, const uint32_t* order,
                           void* out, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
