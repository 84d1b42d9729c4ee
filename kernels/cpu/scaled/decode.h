// The decoders of one instruction set; ScaledKernels has their contracts.
#pragma once

#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

void scaled_read_tiles(const ScaledWeight& weight, uint64_t tile_rows, float* scales,
                       int32_t* zeros);
void scaled_dequantize(const ScaledWeight& weight, uint64_t row_begin, uint64_t row_end,
                       WeightType out_type, void* out);
void scaled_decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                          void* out);

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
