// Rotating rows of numbers block by block, in double and in the order of kernels on the CPU: a
// block of threads has a piece of a row in shared memory. Bound by memory for what is rotated by
// steps of two or four numbers.
#pragma once

#include "kernels/device/formats/stored_scales.h"
#include "kernels/device/rotation.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kRotateThreads = 256;
inline constexpr uint32_t kRotatePiece = 1024;  // or a whole block, where that is larger

PRECIS_FUNCTION void add_by_twos(double* values, uint32_t count, uint32_t apart) {
  for (uint32_t i = threadIdx.x; i < count / 2; i += kRotateThreads) {
    double* at = values + i / apart * 2 * apart + i % apart;
    const double first = at[0], second = at[apart];
    at[0] = first + second;
    at[apart] = first - second;
  }
  __syncthreads();
}

PRECIS_FUNCTION void add_by_fours(double* values, uint32_t count, uint32_t apart) {
  for (uint32_t i = threadIdx.x; i < count / 4; i += kRotateThreads) {
    double* at = values + i / apart * 4 * apart + i % apart;
    const double own[] = {at[0], at[apart], at[2 * apart], at[3 * apart]};
    PRECIS_UNROLL
    for (uint32_t j = 0; j < 4; ++j) {
      double sum = 0;
      PRECIS_UNROLL
      for (uint32_t k = 0; k < 4; ++k) sum += j + k == 3 ? -own[k] : own[k];
      at[j * apart] = sum;
    }
  }
  __syncthreads();
}

PRECIS_FUNCTION double matrix_sum(const Rotation& rotation, const double* block, uint32_t i) {
  double sum = 0;
  for (uint32_t j = 0; j < rotation.size; ++j)
    sum +=
        block[j] * double{load_float(rotation.matrix, rotation.transposed ? j * rotation.size + i
                                                                          : i * rotation.size + j)};
  return sum;
}

// out[rows][columns] of Source::value<Out>(weight, row, column). Grid: x over the pieces of a row,
// y over the rows (and strides over what is left).
template <class Source, class Out>
__global__ void __launch_bounds__(kRotateThreads)
    rotate_kernel(PRECIS_PARAMETER typename Source::Weight weight,
                  PRECIS_PARAMETER Rotation rotation, uint32_t piece, Out* out) {
  PRECIS_DYNAMIC_SHARED(bytes);
  auto* values = reinterpret_cast<double*>(bytes);
  const uint32_t begin = blockIdx.x * piece, left = weight.columns - begin;
  const uint32_t count = left < piece ? left : piece;
  for (uint32_t row = blockIdx.y; row < weight.rows; row += gridDim.y) {
    for (uint32_t i = threadIdx.x; i < count; i += kRotateThreads)
      values[i] = static_cast<double>(Source::template value<Out>(weight, row, begin + i));
    __syncthreads();
    if (rotation.kind == RotationKind::twos)
      for (uint32_t apart = 1; apart < rotation.size; apart *= 2) add_by_twos(values, count, apart);
    if (rotation.kind == RotationKind::fours)
      for (uint32_t apart = 1; apart < rotation.size; apart *= 4)
        add_by_fours(values, count, apart);
    for (uint32_t i = threadIdx.x; i < count; i += kRotateThreads) {
      const double value =
          rotation.kind == RotationKind::matrix
              ? matrix_sum(rotation, values + i / rotation.size * rotation.size, i % rotation.size)
              : values[i] * rotation.factor;
      out[uint64_t{row} * weight.columns + begin + i] = from_float<Out>(static_cast<float>(value));
    }
    __syncthreads();
  }
}

template <class Source, class Out>
const char* launch_rotate(const typename Source::Weight& weight, const Rotation& rotation, Out* out,
                          void* stream) {
  if (weight.rows == 0 || weight.columns == 0) return nullptr;
  if (rotation.size == 0 || rotation.size > kMostRotated || weight.columns % rotation.size != 0)
    return "rotated columns: blocks of at most 4096 that divide the columns";
  const uint32_t piece =
      rotation.size < kRotatePiece ? kRotatePiece / rotation.size * rotation.size : rotation.size;
  const dim3 grid((weight.columns + piece - 1) / piece, weight.rows < 65535 ? weight.rows : 65535);
  return PRECIS_LAUNCH((rotate_kernel<Source, Out>), grid, dim3(kRotateThreads),
                       piece * sizeof(double), stream, weight, rotation, piece, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
