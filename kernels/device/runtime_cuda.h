// CUDA as a device, compute capability 8.0 and later; include kernels/device/runtime.h.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define PRECIS_DEVICE device_cuda
#define PRECIS_FUNCTION __device__ __forceinline__
#define PRECIS_UNROLL _Pragma("unroll")
#define PRECIS_CONSTANT_TABLE static __device__ const
#define PRECIS_PARAMETER const __grid_constant__

#define PRECIS_SHARED(T, name) __shared__ T name
#define PRECIS_DYNAMIC_SHARED(name)                 \
  extern __shared__ uint4 precis_dynamic_shared_[]; \
  auto* name = reinterpret_cast<unsigned char*>(precis_dynamic_shared_)

#define PRECIS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::precis::kernels::device_cuda::launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kBlockSharedBytes = 99 << 10;  // of compute capability 8.9, the least

template <class T>
PRECIS_FUNCTION T shuffle_xor(T value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}
PRECIS_FUNCTION void warp_barrier() {
  __syncwarp();
}

template <class V>
PRECIS_FUNCTION V load_vector(const void* from) {
  return *static_cast<const V*>(from);
}
template <class V>
PRECIS_FUNCTION void store_vector(void* to, const V& value) {
  *static_cast<V*>(to) = value;
}

PRECIS_FUNCTION void async_copy_16(void* to_shared, const void* from, int valid) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(to_shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid)
               : "memory");
}
PRECIS_FUNCTION void async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int Pending>
PRECIS_FUNCTION void async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

PRECIS_FUNCTION float fused_multiply_add(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}

PRECIS_FUNCTION float square_root(float value) {
  return __fsqrt_rn(value);
}

// One instruction, which is not taken apart and joined with what was done to the word before.
PRECIS_FUNCTION uint32_t byte_of(uint32_t word, unsigned index) {
  return index == 3 ? word >> 24 : __byte_perm(word, 0, 0x4440u + index);
}

// Devices that widen float8 themselves.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define PRECIS_HAS_FLOAT8 1
// Two codes of E4M3FN as two float16, NaNs too.
PRECIS_FUNCTION uint32_t half_pair_of_e4m3fn(uint32_t codes) {
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(static_cast<uint16_t>(codes)));
  return halves;
}
#else
#define PRECIS_HAS_FLOAT8 0
#endif

PRECIS_FUNCTION float byte_above_2_23(uint32_t word, unsigned index) {
  return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440u + index));
}

PRECIS_FUNCTION int dot_of_bytes(uint32_t a, uint32_t b, int sum) {
  return __dp4a(static_cast<int>(a), static_cast<int>(b), sum);
}

PRECIS_FUNCTION uint16_t half_bits(float value) {
  return __half_as_ushort(__float2half_rn(value));
}
PRECIS_FUNCTION float half_value(uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}

PRECIS_FUNCTION uint16_t bfloat16_bits(float value) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}
PRECIS_FUNCTION uint32_t pack_half(float a, float b) {
  const __half2 pair = __floats2half2_rn(a, b);
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}
PRECIS_FUNCTION uint32_t pack_bfloat16(float a, float b) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}

// Shared memory beyond 48 KiB has to be asked for, once for each kernel and device; the call is
// cheap and may be repeated.
template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   void* stream, Arguments... arguments) {
  cudaError_t error = cudaSuccess;
  if (shared_bytes > 48 * 1024)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  if (error == cudaSuccess) {
    kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(arguments...);
    error = cudaGetLastError();
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace precis::kernels::PRECIS_DEVICE
