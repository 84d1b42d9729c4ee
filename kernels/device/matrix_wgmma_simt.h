// wgmma on the executor; include kernels/device/matrix_wgmma.h. A device reads its tiles at some
// moment from the start of a product until it is waited for: here that happens at the end, until
// when sums lack it, and tiles that are not the same at both moments are an error.
#pragma once

#include "kernels/device/fragments_simt.h"

namespace precis::kernels::PRECIS_DEVICE {

template <>
struct ElementTraits<E4M3> {
  using Sum = float;
  static float value(const unsigned char* at) { return e4m3fn_value(*at); }
};

// Addresses of the executor are those from the beginning of the block's dynamic shared memory on.
PRECIS_FUNCTION uint32_t bytes_to_swizzle(const unsigned char*) {
  return 0;
}
inline uint64_t descriptor_of(const unsigned char* tile) {
  const auto* base = static_cast<const unsigned char*>(simt::dynamic_shared_storage());
  return tile_descriptor(static_cast<uint64_t>(tile - base) / 16);
}
inline void wgmma_fence() {}
inline void wgmma_commit() {
  simt::late_commit();
}
template <int Pending>
void wgmma_wait() {
  simt::late_wait(Pending);
}
inline void wgmma_publish() {
  simt::publish_writes();
}

// Both operands as their descriptors say: 32 bytes of each row. 16 bytes stand where their address,
// with bits 7 to 9 added without carry to bits 4 to 6, says.
struct DescribedOperands {
  unsigned char a[64][32], b[128][32];

  DescribedOperands(uint64_t describing_a, uint64_t describing_b) {
    load(describing_a, a, 64);
    load(describing_b, b, 128);
  }
  uint64_t digest() const {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const auto* byte = &a[0][0]; byte != &b[0][0] + sizeof b; ++byte)
      hash = (hash ^ *byte) * 0x100000001b3u;
    return hash;
  }

 private:
  static void load(uint64_t descriptor, unsigned char (*rows)[32], int count) {
    if (descriptor >> 62 != 1)
      simt::fail("wgmma: the executor knows the swizzle of 128 bytes only");
    const auto* shared = static_cast<const unsigned char*>(simt::dynamic_shared_storage());
    const uint64_t start = (descriptor & 0x3fffu) * 16, stride = (descriptor >> 32 & 0x3fffu) * 16;
    for (int row = 0; row < count; ++row) {
      for (int piece = 0; piece < 2; ++piece) {
        const uint64_t plain = start + static_cast<uint64_t>(row / 8) * stride +
                               static_cast<uint64_t>(row % 8) * 128 +
                               static_cast<uint64_t>(piece) * 16;
        const unsigned char* from = shared + (plain ^ (plain >> 7 & 7) << 4);
        simt::require_published(from, 16);
        const auto loaded = load_vector<Words4>(from);
        std::memcpy(rows[row] + 16 * piece, &loaded, sizeof loaded);
      }
    }
  }
};
static_assert(sizeof(DescribedOperands) == (64 + 128) * 32);

template <class Element>
struct WarpgroupMessage {
  WgmmaSum<Element> sum;
  uint64_t a, b, add, digest;  // digest: of the operands when the product began, on lane 0
};

// The work of all lanes of a warpgroup, 16 columns at a time: stacks of the executor are small.
template <class Element>
void multiply_described(WarpgroupMessage<Element>* const* lanes) {
  constexpr int kBytes = static_cast<int>(sizeof(Element));
  using Traits = ElementTraits<Element>;
  const DescribedOperands operands(lanes[0]->a, lanes[0]->b);
  if (operands.digest() != lanes[0]->digest)
    simt::fail("wgmma: a tile changed between the start of a product and its end");
  typename Traits::Sum left[64][16], right[128][16];
  for (int first = 0; first < 32; first += 16 * kBytes) {
    for (int k = 0; k < 16; ++k) {
      const int at = first + k * kBytes;
      for (int row = 0; row < 64; ++row) left[row][k] = Traits::value(operands.a[row] + at);
      for (int row = 0; row < 128; ++row) right[row][k] = Traits::value(operands.b[row] + at);
    }
    for (int l = 0; l < kWarpgroup; ++l) {
      auto& message = *lanes[l];
      if (message.a != lanes[0]->a || message.b != lanes[0]->b || message.add != lanes[0]->add)
        simt::fail("wgmma: the warpgroup's threads bring different operands");
      for (int i = 0; i < 64; ++i) {
        const int row = l / 32 * 16 + l % 32 / 4 + 8 * (i / 2 % 2);
        const int column = 8 * (i / 4) + 2 * (l % 4) + i % 2;
        auto sum = first > 0 || message.add != 0 ? message.sum.values[i] : 0;
        for (int k = 0; k < 16; ++k) sum += left[row][k] * right[column][k];
        message.sum.values[i] = sum;
      }
    }
  }
}

template <class Element>
void wgmma_multiply(WgmmaSum<Element>& sum, uint64_t a, uint64_t b, bool add) {
  const uint64_t digest =
      simt::lane_of(kWarpgroup) == 0 ? DescribedOperands(a, b).digest() : uint64_t{0};
  simt::late_start({[](simt::LateWork work) {
                      auto& result = *static_cast<WgmmaSum<Element>*>(work.result);
                      const auto& [of_a, of_b, adds, before] = work.arguments;
                      WarpgroupMessage<Element> message{result, of_a, of_b, adds, before};
                      simt::warp_collective(message, "wgmma", multiply_described<Element>,
                                            kWarpgroup);
                      result = message.sum;
                    },
                    &sum,
                    {a, b, add ? uint64_t{1} : 0, digest}});
}

}  // namespace precis::kernels::PRECIS_DEVICE
