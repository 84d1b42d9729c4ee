// Encoding rows to int8 as LLM.int8() does, for weights and for activations: one block of threads
// for each row. Bound by memory: a row is read once from it and once from cache.
#pragma once

#include "kernels/device/row_threads.h"

namespace precis::kernels::PRECIS_DEVICE {

// LLM.int8()'s outliers: columns with a magnitude of at least `threshold` in any row are multiplied
// as floats. flags[columns] null: there are none.
struct Int8Outliers {
  float threshold;
  const uint8_t* flags;
};

// codes[rows][columns], absmax[rows]. Elements are rounded to float16 first, as the library does.
// Outliers count for no maximum, and their columns have code 0.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    quantize_int8_rows_kernel(const Element* matrix, uint32_t columns, Int8Outliers outliers,
                              int8_t* codes, float* absmax) {
  const Element* row = matrix + uint64_t{blockIdx.x} * columns;
  int8_t* out = codes + uint64_t{blockIdx.x} * columns;
  const auto load = [row](uint32_t i) { return round_to(Rounding::half, to_float(row[i])); };
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(load(i)) & 0x7fffffffu;
    const bool counts = outliers.flags == nullptr || !(bits_as<float>(bits) >= outliers.threshold);
    best = counts && bits > best ? bits : best;
  }
  const float largest = bits_as<float>(row_max(best));
  if (threadIdx.x == 0) absmax[blockIdx.x] = largest;
  // torch computes 127 / absmax as the reciprocal times 127: two roundings.
  const float factor = (1.0f / largest) * 127.0f;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    float scaled = load(i) * factor;
    if (outliers.flags != nullptr && outliers.flags[i] != 0) scaled = 0;
    // A row of zeros or with an infinity gives NaN, which the library stores as 0.
    out[i] = static_cast<int8_t>(scaled == scaled ? static_cast<int>(round_to_even(scaled)) : 0);
  }
}

template <class Element>
const char* launch_quantize_int8_rows(const Element* matrix, uint32_t rows, uint32_t columns,
                                      Int8Outliers outliers, int8_t* codes, float* absmax,
                                      void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  return PRECIS_LAUNCH((quantize_int8_rows_kernel<Element>), dim3(rows), dim3(kQuantizeRowThreads),
                       0, stream, matrix, columns, outliers, codes, absmax);
}

// flags[columns] of outliers in matrix[rows][columns].
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    find_int8_outliers_kernel(const Element* matrix, uint32_t rows, uint32_t columns,
                              float threshold, uint8_t* flags) {
  const uint32_t column = blockIdx.x * kQuantizeRowThreads + threadIdx.x;
  if (column >= columns) return;
  bool found = false;
  for (uint32_t row = 0; row < rows; ++row) {
    const float value =
        round_to(Rounding::half, to_float(matrix[uint64_t{row} * columns + column]));
    found = found || value >= threshold || value <= -threshold;
  }
  flags[column] = found ? 1 : 0;
}

// list[0]: how many flags are set; behind it their columns, in order. One block of threads.
static __global__ void __launch_bounds__(kQuantizeRowThreads)
    list_int8_outliers_kernel(const uint8_t* flags, uint32_t columns, uint32_t* list) {
  using Counts = uint32_t[kQuantizeRowThreads];
  PRECIS_SHARED(Counts, counts);
  const uint32_t each = (columns + kQuantizeRowThreads - 1) / kQuantizeRowThreads;
  const uint32_t begin = threadIdx.x * each;
  const uint32_t end = begin + each < columns ? begin + each : columns;
  uint32_t count = 0;
  for (uint32_t i = begin; i < end; ++i) count += flags[i];
  counts[threadIdx.x] = count;
  __syncthreads();
  uint32_t at = 0;
  for (uint32_t i = 0; i < threadIdx.x; ++i) at += counts[i];
  if (threadIdx.x == kQuantizeRowThreads - 1) list[0] = at + count;
  for (uint32_t i = begin; i < end; ++i)
    if (flags[i] != 0) list[++at] = i;
}

// flags[columns] and list[columns + 1].
template <class Element>
const char* launch_int8_outliers(const Element* matrix, uint32_t rows, uint32_t columns,
                                 float threshold, uint8_t* flags, uint32_t* list, void* stream) {
  const dim3 block(kQuantizeRowThreads);
  const dim3 grid((columns + kQuantizeRowThreads - 1) / kQuantizeRowThreads);
  if (const char* error = PRECIS_LAUNCH((find_int8_outliers_kernel<Element>), grid, block, 0,
                                        stream, matrix, rows, columns, threshold, flags))
    return error;
  return PRECIS_LAUNCH(list_int8_outliers_kernel, dim3(1), block, 0, stream,
                       static_cast<const uint8_t*>(flags), columns, list);
}

}  // namespace precis::kernels::PRECIS_DEVICE
