// NVIDIA, compute capability 9.0a: wgmma, products of 64 x 128 by the four warps of a warpgroup
// with both operands in shared memory. Layouts: PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate": "Register Fragments and Shared Memory Matrix Layouts", "Matrix Descriptor",
// "128-Byte swizzling".
#pragma once

#include "kernels/device/fragments_simt.h"
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
struct WarpgroupSum {
  float values[64];
  static PRECIS_FUNCTION int row(int i) { return warp() % 4 * 16 + lane() / 4 + 8 * (i / 2 % 2); }
  static PRECIS_FUNCTION int column(int i) { return 8 * (i / 4) + 2 * (lane() % 4) + i % 2; }
};

// Of a tile of swizzled rows, from 16-byte address `start` on: the start, eight rows to the next
// group of them, and the swizzle.
constexpr PRECIS_FUNCTION uint64_t tile_descriptor(uint64_t start) {
  return (start & 0x3fffu) | uint64_t{1} << 16 | uint64_t{kSwizzleBytes / 16} << 32 |
         uint64_t{1} << 62;
}

#if defined(__CUDACC__)

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

#define PRECIS_EIGHT(i)                                                                       \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define PRECIS_WGMMA(type)                                                                      \
  asm volatile(                                                                                 \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                              \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"    \
      "%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,"    \
      "%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"       \
      " %64, %65, 1, 1, 1, 0, 0;"                                                               \
      : PRECIS_EIGHT(0), PRECIS_EIGHT(8), PRECIS_EIGHT(16), PRECIS_EIGHT(24), PRECIS_EIGHT(32), \
        PRECIS_EIGHT(40), PRECIS_EIGHT(48), PRECIS_EIGHT(56)                                    \
      : "l"(a), "l"(b))

// sum[64][128] += a[64][16] b[128][16]^T, both described; not complete before wgmma_wait.
template <class Element>
PRECIS_FUNCTION void wgmma_multiply(WarpgroupSum& sum, uint64_t a, uint64_t b) {
  [[maybe_unused]] float(&d)[64] = sum.values;
  if constexpr (std::is_same_v<Element, Half>) {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("f16");)
  } else {
    PRECIS_WGMMA_BODY(PRECIS_WGMMA("bf16");)
  }
}
#undef PRECIS_WGMMA
#undef PRECIS_EIGHT
#undef PRECIS_WGMMA_BODY

#elif defined(PRECIS_DEVICE_SIMT)

// Addresses of the executor are those from the beginning of the block's dynamic shared memory on.
PRECIS_FUNCTION uint32_t bytes_to_swizzle(const unsigned char*) {
  return 0;
}
inline uint64_t descriptor_of(const unsigned char* tile) {
  const auto* base = static_cast<const unsigned char*>(simt::dynamic_shared_storage());
  return tile_descriptor(static_cast<uint64_t>(tile - base) / 16);
}
inline void wgmma_fence() {}
inline void wgmma_commit() {}
template <int Pending>
void wgmma_wait() {}
inline void wgmma_publish() {}

struct WarpgroupMessage {
  WarpgroupSum sum;
  uint64_t a, b;
  const unsigned char* shared;
};

// Element k of row `row` of a described tile: 16 bytes stand where their address, with bits 7 to 9
// added without carry to bits 4 to 6, says.
template <class Element>
float described_element(const unsigned char* shared, uint64_t descriptor, int row, int k) {
  const uint64_t start = (descriptor & 0x3fffu) * 16, stride = (descriptor >> 32 & 0x3fffu) * 16;
  const uint64_t plain = start + static_cast<uint64_t>(row / 8) * stride +
                         static_cast<uint64_t>(row % 8) * 128 + static_cast<uint64_t>(k) * 2;
  return ElementTraits<Element>::value(shared + (plain ^ (plain >> 7 & 7) << 4));
}

template <class Element>
void wgmma_multiply(WarpgroupSum& sum, uint64_t a, uint64_t b) {
  WarpgroupMessage message{sum, a, b,
                           static_cast<const unsigned char*>(simt::dynamic_shared_storage())};
  simt::warp_collective(
      message, "wgmma",
      [](WarpgroupMessage* const* lanes) {
        if (lanes[0]->a >> 62 != 1 || lanes[0]->b >> 62 != 1)
          simt::fail("wgmma: the executor knows the swizzle of 128 bytes only");
        float left[64][16], right[128][16];
        for (int k = 0; k < 16; ++k) {
          for (int row = 0; row < 64; ++row)
            left[row][k] = described_element<Element>(lanes[0]->shared, lanes[0]->a, row, k);
          for (int row = 0; row < 128; ++row)
            right[row][k] = described_element<Element>(lanes[0]->shared, lanes[0]->b, row, k);
        }
        for (int l = 0; l < kWarpgroup; ++l) {
          if (lanes[l]->a != lanes[0]->a || lanes[l]->b != lanes[0]->b)
            simt::fail("wgmma: the warpgroup's threads bring different descriptors");
          for (int i = 0; i < 64; ++i) {
            const int row = l / 32 * 16 + l % 32 / 4 + 8 * (i / 2 % 2);
            const int column = 8 * (i / 4) + 2 * (l % 4) + i % 2;
            for (int k = 0; k < 16; ++k) lanes[l]->sum.values[i] += left[row][k] * right[column][k];
          }
        }
      },
      kWarpgroup);
  sum = message.sum;
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
