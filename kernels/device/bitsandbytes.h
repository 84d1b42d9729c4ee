// bitsandbytes' formats on a device: NF4, FP4, LLM.int8().
//
// Declared once for each back end, in its namespace: device_cuda, device_hip, device_simt. Every
// pointer is to device memory, aligned to 16 bytes; `stream` is a cudaStream_t or hipStream_t and
// may be null. The functions launch and return; they allocate nothing and wait for nothing. They
// return null, or a text that says which rule the arguments break or what the runtime answered.
// [any thread]
#pragma once

#include <cstdint>

#include "kernels/cpu/bitsandbytes/blockwise.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// A weight of `rows` x `columns` elements, flattened, in blocks of `blocksize`.
struct FourBitTensor {
  FourBitType type;
  WeightType weight_type;  // dtype of the original weight
  uint32_t rows, columns;
  uint32_t blocksize;     // a power of two, at least 8
  const uint8_t* packed;  // (rows * columns + 1) / 2 bytes
  const float* absmax;    // one for each block
};

// Encodes weight[n], kernels/cpu's quantize_4bit. blocksize is even.
const char* quantize_4bit(FourBitType type, WeightType weight_type, const void* weight, uint64_t n,
                          uint32_t blocksize, uint8_t* packed, float* absmax, void* stream);

// out[rows * columns] of out_type, kernels/cpu's dequantize_4bit. At most 2^32 - 1 elements when
// columns is not a multiple of 8.
const char* dequantize_4bit(const FourBitTensor& weight, WeightType out_type, void* out,
                            void* stream);

// absmax[count] from nested codes, kernels/cpu's dequantize_absmax; codebook[256].
const char* dequantize_absmax(const uint8_t* codes, const float* nested_absmax,
                              const float* codebook, float offset, uint32_t nested_blocksize,
                              uint64_t count, float* absmax, void* stream);

// y[m][rows] = x[m][columns] W^T + bias; x, bias and y have the dtype `activation`, f16 or bf16;
// bias may be null. columns is a multiple of 8. Up to 8 rows of x by a matrix-vector kernel, more
// by the matrix units.
const char* linear_4bit(const FourBitTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

struct Int8Tensor {
  uint32_t rows, columns;
  const int8_t* codes;  // [rows][columns]
  const float* scb;     // [rows], the largest magnitude of each row
};

// Encodes matrix[rows][columns], a weight or activations, kernels/cpu's Int8RowKernels::quantize.
const char* quantize_int8_rows(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                               int8_t* codes, float* absmax, void* stream);

// out[rows][columns] = codes * scb / 127.
const char* dequantize_int8_rows(const Int8Tensor& weight, WeightType out_type, void* out,
                                 void* stream);

// As linear_4bit, with the weight decoded to the activations' dtype.
const char* linear_int8(const Int8Tensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

// y = x W^T + bias with x quantized by quantize_int8_rows: exact integer sums, scaled as
// bitsandbytes' int8_mm_dequant scales them. columns is a multiple of 16.
const char* linear_int8_int8(const Int8Tensor& weight, const int8_t* x, const float* x_absmax,
                             WeightType activation, const void* bias, void* y, uint32_t m,
                             void* stream);

// LLM.int8(): quantizes x, but for the columns that hold a magnitude of `threshold` or more (0: no
// such columns), whose products are added as floats in the order of the columns: the bits of
// kernels/cpu/linear. columns is a multiple of 16; workspace: llm_int8_workspace bytes, aligned to
// 16.
uint64_t llm_int8_workspace(uint32_t m, uint32_t columns);
const char* linear_llm_int8(const Int8Tensor& weight, float threshold, WeightType activation,
                            const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                            void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
