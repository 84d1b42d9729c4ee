// NVIDIA, compute capability 9.0a: wgmma, products of 64 x 128 by the four warps of a warpgroup
// with both operands in shared memory. Layouts: PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate": "Register Fragments and Shared Memory Matrix Layouts", "Matrix Descriptor",
// "128-Byte swizzling".
//
// An instruction takes 32 bytes of each row: 16 Half or BFloat16, or 32 int8_t or E4M3. Sums are
// int for int8_t, else float. E4M3's are kept with about 14 bits (DeepSeek-V3 Technical Report,
// 3.3.2), so that long sums are to be taken over into float32 from time to time.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kWarpgroup = 128;
inline constexpr uint32_t kSwizzleBytes = 1024;  // 8 rows of 128 bytes; tiles are aligned to it

// Where 16 bytes of a tile of 128-byte rows stand: the eight pieces of a row change places by its
// number, so that a column of pieces touches all banks once.
PRECIS_FUNCTION uint32_t swizzled(uint32_t row, uint32_t piece) {
  return row * 128 + ((piece ^ row % 8) * 16);
}

// A lane's part of 64 x 128 sums: value i stands in row 16 w + l / 4 + 8 (i / 2 % 2) of warp w and
// lane l, column 8 (i / 4) + 2 (l % 4) + i % 2.
template <class T>
struct WarpgroupSum {
  T values[64];
  static PRECIS_FUNCTION int row(int i) { return warp() % 4 * 16 + lane() / 4 + 8 * (i / 2 % 2); }
  static PRECIS_FUNCTION int column(int i) { return 8 * (i / 4) + 2 * (lane() % 4) + i % 2; }
};

template <class Element>
using WgmmaSum = WarpgroupSum<std::conditional_t<std::is_same_v<Element, int8_t>, int, float>>;

// Of a tile of swizzled rows, from 16-byte address `start` on: the start, eight rows to the next
// group of them, and the swizzle.
constexpr PRECIS_FUNCTION uint64_t tile_descriptor(uint64_t start) {
  return (start & 0x3fffu) | uint64_t{1} << 16 | uint64_t{kSwizzleBytes / 16} << 32 |
         uint64_t{1} << 62;
}

}  // namespace precis::kernels::PRECIS_DEVICE

#if defined(PRECIS_DEVICE_SIMT)
#include "kernels/device/matrix_wgmma_simt.h"
#elif defined(__CUDACC__)

namespace precis::kernels::PRECIS_DEVICE {

// Bytes from the beginning of `shared` to its first multiple of kSwizzleBytes.
PRECIS_FUNCTION uint32_t bytes_to_swizzle(const unsigned char* shared) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  return (kSwizzleBytes - at % kSwizzleBytes) % kSwizzleBytes;
}

PRECIS_FUNCTION uint64_t descriptor_of(const unsigned char* tile) {
  return tile_descriptor(static_cast<uint32_t>(__cvta_generic_to_shared(tile)) / 16);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PRECIS_WGMMA_BODY(text) text
#else
#define PRECIS_WGMMA_BODY(text)  // compiled for other devices too, where nobody launches it
#endif

// Before the first product, and after this thread wrote its sums.
PRECIS_FUNCTION void wgmma_fence() {
  PRECIS_WGMMA_BODY(asm volatile("wgmma.fence.sync.aligned;" ::: "memory");)
}
PRECIS_FUNCTION void wgmma_commit() {
  PRECIS_WGMMA_BODY(asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");)
}
template <int Pending>
PRECIS_FUNCTION void wgmma_wait() {
  PRECIS_WGMMA_BODY(asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");)
}
// What this thread wrote to shared memory is seen by the products behind the next barrier.
PRECIS_FUNCTION void wgmma_publish() {
  PRECIS_WGMMA_BODY(asm volatile("fence.proxy.async.shared::cta;" ::: "memory");)
}

#define PRECIS_EIGHT(constraint, i)                                                   \
  constraint(d[i]), constraint(d[i + 1]), constraint(d[i + 2]), constraint(d[i + 3]), \
      constraint(d[i + 4]), constraint(d[i + 5]), constraint(d[i + 6]), constraint(d[i + 7])
#define PRECIS_WGMMA(shape_and_types, constraint, modifiers)                                      \
  asm volatile(                                                                                   \
      "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"                                            \
      "wgmma.mma_async.sync.aligned." shape_and_types                                             \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"      \
      "%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,"      \
      "%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"         \
      " %64, %65, add" modifiers ";\n}"                                                           \
      : PRECIS_EIGHT(constraint, 0), PRECIS_EIGHT(constraint, 8), PRECIS_EIGHT(constraint, 16),   \
        PRECIS_EIGHT(constraint, 24), PRECIS_EIGHT(constraint, 32), PRECIS_EIGHT(constraint, 40), \
        PRECIS_EIGHT(constraint, 48), PRECIS_EIGHT(constraint, 56)                                \
      : "l"(a), "l"(b), "r"(static_cast<int>(add)))

// sum[64][128] = a[64][32 bytes] b[128][32 bytes]^T, with `add` added to what it was; both are
// described. Not complete before wgmma_wait.
template <class Element>
PRECIS_FUNCTION void wgmma_multiply(WgmmaSum<Element>& sum, uint64_t a, uint64_t b, bool add) {
  [[maybe_unused]] auto& d = sum.values;
  if constexpr (std::is_same_v<Element, Half>) {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("m64n128k16.f32.f16.f16", "+f", ", 1, 1, 0, 0");)
  } else if constexpr (std::is_same_v<Element, BFloat16>) {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("m64n128k16.f32.bf16.bf16", "+f", ", 1, 1, 0, 0");)
  } else if constexpr (std::is_same_v<Element, E4M3>) {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("m64n128k32.f32.e4m3.e4m3", "+f", ", 1, 1");)
  } else {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("m64n128k32.s32.s8.s8", "+r", "");)
  }
}
#undef PRECIS_WGMMA
#undef PRECIS_EIGHT
#undef PRECIS_WGMMA_BODY

}  // namespace precis::kernels::PRECIS_DEVICE

#endif
