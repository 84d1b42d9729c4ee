// HIP as a device: AMD gfx90a, gfx942, gfx1030, gfx1100, gfx1201; include kernels/device/runtime.h.
#pragma once

#if defined(PRECIS_HIP_BARE)
#include "kernels/hip/hip_bare.h"
#else
#include <hip/hip_runtime.h>
#endif

#define PRECIS_DEVICE device_hip
#define PRECIS_FUNCTION __device__ __attribute__((always_inline)) inline
#define PRECIS_UNROLL _Pragma("unroll")
#define PRECIS_CONSTANT_TABLE static __device__ const
#define PRECIS_PARAMETER const

#define PRECIS_SHARED(T, name) __shared__ T name
#define PRECIS_DYNAMIC_SHARED(name)                    \
  extern __shared__ unsigned precis_dynamic_shared_[]; \
  auto* name = reinterpret_cast<unsigned char*>(precis_dynamic_shared_)

#define PRECIS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::precis::kernels::device_hip::launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

#define PRECIS_HAS_FLOAT8 0  // devices that widen float8 themselves

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kBlockSharedBytes = 64 << 10;

// Within a warp of 32 lanes: a wave of 64 exchanges in its two halves.
template <class T>
PRECIS_FUNCTION T shuffle_xor(T value, int lanes) {
  static_assert(sizeof(T) == 4);
  const unsigned self = __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u));
  int bits;
  __builtin_memcpy(&bits, &value, 4);
  bits = __builtin_amdgcn_ds_bpermute(static_cast<int>((self ^ static_cast<unsigned>(lanes)) * 4),
                                      bits);
  __builtin_memcpy(&value, &bits, 4);
  return value;
}
PRECIS_FUNCTION void warp_barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}

template <class V>
PRECIS_FUNCTION V load_vector(const void* from) {
  return *static_cast<const V*>(from);
}
template <class V>
PRECIS_FUNCTION void store_vector(void* to, const V& value) {
  *static_cast<V*>(to) = value;
}

// These devices copy to shared memory through registers; the block barrier that follows every
// async_wait is what makes the data seen.
PRECIS_FUNCTION void async_copy_16(void* to_shared, const void* from, int valid) {
  typedef unsigned Vector __attribute__((ext_vector_type(4)));
  Vector value = {0, 0, 0, 0};
  if (valid != 0) value = *static_cast<const Vector*>(from);
  *static_cast<Vector*>(to_shared) = value;
}
PRECIS_FUNCTION void async_commit() {}
template <int Pending>
PRECIS_FUNCTION void async_wait() {}

PRECIS_FUNCTION float fused_multiply_add(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}

PRECIS_FUNCTION float square_root(float value) {
  return __builtin_sqrtf(value);
}

PRECIS_FUNCTION uint32_t byte_of(uint32_t word, unsigned index) {
  return word >> (8 * index) & 0xffu;
}

PRECIS_FUNCTION float byte_above_2_23(uint32_t word, unsigned index) {
  // One instruction; with index known, v_perm_b32's selector is a constant.
  return __builtin_bit_cast(float, __builtin_amdgcn_perm(0x4b000000u, word, 0x07040400u + index));
}

PRECIS_FUNCTION int dot_of_bytes(uint32_t a, uint32_t b, int sum) {
#if defined(__GFX11__) || defined(__GFX12__)
  return __builtin_amdgcn_sudot4(true, static_cast<int>(a), true, static_cast<int>(b), sum, false);
#else
  return __builtin_amdgcn_sdot4(static_cast<int>(a), static_cast<int>(b), sum, false);
#endif
}

PRECIS_FUNCTION uint16_t half_bits(float value) {
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  __builtin_memcpy(&bits, &half, sizeof bits);
  return bits;
}
PRECIS_FUNCTION float half_value(uint16_t bits) {
  _Float16 half;
  __builtin_memcpy(&half, &bits, sizeof half);
  return static_cast<float>(half);
}
PRECIS_FUNCTION uint16_t bfloat16_bits(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
PRECIS_FUNCTION uint32_t pack_half(float a, float b) {
  return half_bits(a) | static_cast<uint32_t>(half_bits(b)) << 16;
}
PRECIS_FUNCTION uint32_t pack_bfloat16(float a, float b) {
  return bfloat16_bits(a) | static_cast<uint32_t>(bfloat16_bits(b)) << 16;
}

template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   void* stream, Arguments... arguments) {
  kernel<<<grid, block, shared_bytes, static_cast<hipStream_t>(stream)>>>(arguments...);
  const hipError_t error = hipGetLastError();
  return error == hipSuccess ? nullptr : hipGetErrorString(error);
}

}  // namespace precis::kernels::PRECIS_DEVICE
