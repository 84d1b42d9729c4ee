// Nunchaku Lite's weights on a device: AWQ's int4 and SVDQuant's int4 and NVFP4 with a low-rank
// part. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/device/stored_floats.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// code * scale + zero. rows are a multiple of 4, columns of 64, groups of 8.
struct NunchakuAwqTensor {
  uint32_t rows, columns, group;
  const uint16_t* codes;       // a code of each of 4 columns, 8 apart
  StoredFloats scales, zeros;  // [columns / group][rows]
};

// out[rows][columns] of out_type, from the sum in double.
const char* dequantize_nunchaku_awq(const NunchakuAwqTensor& weight, WeightType out_type, void* out,
                                    void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_nunchaku_awq(const NunchakuAwqTensor& weight, WeightType activation,
                                const void* x, const void* bias, void* y, uint32_t m, void* stream);

// number * scale (* row_scale * scale of all) / smooth + up down, all in the orders of Nunchaku's
// kernels (formats/nunchaku_orders.h). Both sides are multiples of 128, the rank of 16.
struct SvdqTensor {
  uint32_t rows, columns, rank;
  bool nvfp4;
  const uint32_t* codes;           // 8 of a row in a word
  StoredFloats scales;             // int4: [columns / 64][rows]
  const uint8_t* micro_scales;     // nvfp4: [columns / 16][rows], float8_e4m3fn
  StoredFloats row_scales, scale;  // nvfp4: [rows], [1]
  StoredFloats smooth, down, up;   // [columns], [columns][rank], [rows][rank]
};

// out[rows][columns] of out_type, from sums in double.
const char* dequantize_svdq(const SvdqTensor& weight, WeightType out_type, void* out, void* stream);

// What products read beside the codes and their scales, in rows; `down` and `up` in the dtype of
// the activations, `up` beginning at a multiple of 16 bytes.
struct SvdqRows {
  void* down;         // [rank][columns]
  void* up;           // [rows][rank]
  float* smooth;      // [columns]
  float* row_scales;  // [rows], the scale of all included
};
const char* lay_out_svdq(const SvdqTensor& weight, WeightType activation, const SvdqRows& rows,
                         void* stream);

// The workspace of a product: m rows of x / smooth followed by x down, then x down alone.
constexpr uint64_t svdq_workspace(uint64_t m, uint64_t columns, uint64_t rank) {
  return m * (columns + 2 * rank) * sizeof(uint16_t);
}

// y[m][rows] = x[m][columns] W^T + bias: x / smooth, rounded to x's dtype, meets the codes, and
// x down, rounded likewise, meets `up`.
const char* linear_svdq(const SvdqTensor& weight, const SvdqRows& rows, WeightType activation,
                        const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                        void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
