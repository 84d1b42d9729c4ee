// What kernel source may use of a device, for three compilers: nvcc (CUDA), clang (HIP) and the
// host compiler, which runs kernels on the CPU (kernels/simt).
//
// Kernels are written for warps of 32 lanes everywhere: an AMD wave of 64 runs two of them side by
// side, and only kernels/device/matrix_cdna.h knows of it. Besides the names that CUDA and HIP
// share
// (__global__, __launch_bounds__, threadIdx, blockIdx, __syncthreads) and those of this header,
// they use no name of either.
//
// Each back end defines, in its own namespace PRECIS_DEVICE:
//   PRECIS_FUNCTION                 marks a function that runs on the device
//   PRECIS_UNROLL                   unrolls the loop that follows
//   PRECIS_PARAMETER                of a struct that a kernel gets by value and indexes: it stays
//                                   where parameters are, instead of in a copy in local memory
//   PRECIS_CONSTANT_TABLE           declares an array that kernels read, at namespace scope
//   PRECIS_SHARED(T, name)          static shared memory: T& name
//   PRECIS_DYNAMIC_SHARED(name)     dynamic shared memory: unsigned char* name, aligned to 16
//   PRECIS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)   null, or what went wrong
//   kBlockSharedBytes               most shared memory of a block, on the least of the devices
//   shuffle_xor(value, lanes), warp_barrier()
//   load_vector<V>(from), store_vector(to, v)    4, 8 or 16 bytes, aligned to their size
//   async_copy_16(to_shared, from, valid)        16 bytes, of which `valid` (0 or 16) are read and
//                                                the rest are zeros
//   async_commit(), async_wait<Pending>()        as cp.async has them
//   fused_multiply_add(a, b, c), square_root(a)       rounded once
//   dot_of_bytes(a, b, sum)         sum + the products of the signed bytes of two words
//   byte_of(word, i)                byte i, 0 the lowest; i is known to the compiler
//   byte_above_2_23(word, i)        2^23 + that byte, a float32 whose low bits it is
//   half_value(bits), half_bits(float), bfloat16_bits(float)      to the nearest, ties to even
//   pack_half(a, b), pack_bfloat16(a, b)                          two of them, a in the low half
#pragma once

#include <cstdint>
#include <cstring>

#if defined(PRECIS_DEVICE_SIMT)
#include "kernels/device/runtime_simt.h"
#elif defined(__HIP__)
#include "kernels/device/runtime_hip.h"
#elif defined(__CUDACC__)
#include "kernels/device/runtime_cuda.h"
#else
#error "compile device sources with nvcc, with clang -x hip, or with -DPRECIS_DEVICE_SIMT"
#endif

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kWarp = 32;

struct alignas(8) Words2 {
  uint32_t words[2];
};
struct alignas(16) Words4 {
  uint32_t words[4];
};

PRECIS_FUNCTION int lane() {
  return static_cast<int>(threadIdx.x % kWarp);
}
PRECIS_FUNCTION int warp() {
  return static_cast<int>(threadIdx.x / kWarp);
}

template <class To, class From>
PRECIS_FUNCTION To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
PRECIS_FUNCTION T warp_sum(T value) {
  PRECIS_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) value += shuffle_xor(value, lanes);
  return value;
}

template <class T>
PRECIS_FUNCTION T warp_max(T value) {
  PRECIS_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const T other = shuffle_xor(value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace precis::kernels::PRECIS_DEVICE
