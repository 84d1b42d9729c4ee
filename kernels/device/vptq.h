// VPTQ's vectors of output features on a device. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/vptq/vptq.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[rows][columns] of out_type: kernels/cpu/vptq's dequantize. The weight's pointers are the
// device's; its indices and places lead somewhere.
const char* dequantize_vptq(const VptqWeight& weight, WeightType out_type, void* out, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_vptq(const VptqWeight& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
