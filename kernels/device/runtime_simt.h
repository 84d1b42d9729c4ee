// The executor as a device; include kernels/device/runtime.h.
#pragma once

#include <cmath>

#include "kernels/cpu/common/float_formats.h"
#include "kernels/simt/intrinsics.h"

#define PRECIS_DEVICE device_simt
// Inlined, so that the tracer tells the places apart that call a function.
#define PRECIS_FUNCTION __attribute__((always_inline)) inline
#define PRECIS_UNROLL
#define PRECIS_CONSTANT_TABLE static const
#define PRECIS_PARAMETER const

#define PRECIS_SHARED(T, name)           \
  static const char name##_storage_ = 0; \
  auto& name = ::precis::simt::shared_object<T>(&name##_storage_, #name)
#define PRECIS_DYNAMIC_SHARED(name) \
  auto* name = static_cast<unsigned char*>(::precis::simt::dynamic_shared_storage())

#define PRECIS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                       \
  (static_cast<void>(stream),                                                               \
   ::precis::simt::launch(                                                                  \
       #kernel, grid, block, shared_bytes, [](auto... arguments) { kernel(arguments...); }, \
       __VA_ARGS__),                                                                        \
   static_cast<const char*>(nullptr))

#define PRECIS_HAS_FLOAT8 0  // devices that widen float8 themselves

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kBlockSharedBytes = 99 << 10;

template <class T>
T shuffle_xor(T value, int lanes) {
  return simt::shuffle_xor(~0u, value, lanes);
}
inline void warp_barrier() {
  simt::warp_barrier();
}

template <class V>
PRECIS_FUNCTION V load_vector(const void* from) {
  V value;
  simt::vector_load(&value, from, sizeof value);
  return value;
}
template <class V>
PRECIS_FUNCTION void store_vector(void* to, const V& value) {
  simt::vector_store(to, &value, sizeof value);
}

PRECIS_FUNCTION void async_copy_16(void* to_shared, const void* from, int valid) {
  simt::async_copy(to_shared, from, 16, static_cast<size_t>(valid));
}
inline void async_commit() {
  simt::async_commit();
}
template <int Pending>
void async_wait() {
  simt::async_wait(Pending);
}

// Not fused: software would take a hundred times as long, and sums are compared by bounds.
inline float fused_multiply_add(float a, float b, float c) {
  return std::fma(a, b, c);
}

inline float square_root(float value) {
  return std::sqrt(value);
}

inline uint32_t byte_of(uint32_t word, unsigned index) {
  return word >> (8 * index) & 0xffu;
}

inline float byte_above_2_23(uint32_t word, unsigned index) {
  return __builtin_bit_cast(float, 0x4b000000u | byte_of(word, index));
}

inline int dot_of_bytes(uint32_t a, uint32_t b, int sum) {
  for (int shift = 0; shift < 32; shift += 8)
    sum += static_cast<int8_t>(a >> shift) * static_cast<int8_t>(b >> shift);
  return sum;
}

inline uint16_t half_bits(float value) {
  return float_to_half(value);
}
inline float half_value(uint16_t bits) {
  return half_to_float(bits);
}
inline uint16_t bfloat16_bits(float value) {
  return float_to_bfloat16(value);
}
inline uint32_t pack_half(float a, float b) {
  return half_bits(a) | static_cast<uint32_t>(half_bits(b)) << 16;
}
inline uint32_t pack_bfloat16(float a, float b) {
  return bfloat16_bits(a) | static_cast<uint32_t>(bfloat16_bits(b)) << 16;
}

}  // namespace precis::kernels::PRECIS_DEVICE
