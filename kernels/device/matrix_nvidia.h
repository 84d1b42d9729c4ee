// NVIDIA, compute capability 8.0 and later: ldmatrix and mma.sync. Layouts: PTX ISA 9.0, "Matrix
// Fragments for mma.m16n8k16 with floating point type", "... for mma.m16n8k32", "ldmatrix".
#pragma once

#include "kernels/device/fragments_simt.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

struct NvidiaUnit {
  static constexpr int kLanes = 32;
  // Words of rows g, g + 8 at bytes 4t, then of the same rows at bytes 16 + 4t; g = lane / 4 and
  // t = lane % 4.
  struct Operand {
    uint32_t words[4];
  };
  // Two products of 16 x 8: rows g, g, g + 8, g + 8 and columns 2t, 2t + 1, 2t, 2t + 1; then the
  // same with columns + 8.
  template <class T>
  struct Sum {
    T values[8];
  };
  static PRECIS_FUNCTION int row(int i) { return lane() / 4 + 8 * ((i / 2) % 2); }
  static PRECIS_FUNCTION int column(int i) { return 2 * (lane() % 4) + i % 2 + 8 * (i / 4); }

  static PRECIS_FUNCTION void load(Operand& operand, const unsigned char* tile, int pitch) {
    const unsigned char* address = tile + (lane() % 16) * pitch + 16 * (lane() / 16);
    load_four_8x8(operand, address);
  }

  // ldmatrix.x4: lanes 8 i ... 8 i + 7 bring the addresses of the rows of matrix i.
  static PRECIS_FUNCTION void load_four_8x8(Operand& operand, const unsigned char* address);

  template <class Element, class T>
  static PRECIS_FUNCTION void multiply(Sum<T>& sum, const Operand& a, const Operand& b);
};

#if defined(__CUDACC__)

PRECIS_FUNCTION void NvidiaUnit::load_four_8x8(Operand& operand, const unsigned char* address) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(address));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(operand.words[0]), "=r"(operand.words[1]), "=r"(operand.words[2]),
                 "=r"(operand.words[3])
               : "r"(at)
               : "memory");
}

#define PRECIS_MMA(instruction, constraint, half)                                           \
  asm volatile(instruction " {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"            \
               : constraint(sum.values[4 * half]), constraint(sum.values[4 * half + 1]),    \
                 constraint(sum.values[4 * half + 2]), constraint(sum.values[4 * half + 3]) \
               : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]),        \
                 "r"(b.words[half]), "r"(b.words[half + 2]))

template <>
PRECIS_FUNCTION void NvidiaUnit::multiply<Half, float>(Sum<float>& sum, const Operand& a,
                                                       const Operand& b) {
  PRECIS_MMA("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "+f", 0);
  PRECIS_MMA("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "+f", 1);
}
template <>
PRECIS_FUNCTION void NvidiaUnit::multiply<BFloat16, float>(Sum<float>& sum, const Operand& a,
                                                           const Operand& b) {
  PRECIS_MMA("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "+f", 0);
  PRECIS_MMA("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "+f", 1);
}
template <>
PRECIS_FUNCTION void NvidiaUnit::multiply<int8_t, int>(Sum<int>& sum, const Operand& a,
                                                       const Operand& b) {
  PRECIS_MMA("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", "+r", 0);
  PRECIS_MMA("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", "+r", 1);
}
#undef PRECIS_MMA

#elif defined(PRECIS_DEVICE_SIMT)

inline void NvidiaUnit::load_four_8x8(Operand& operand, const unsigned char* address) {
  const auto row = load_vector<Words4>(address);
  std::memcpy(operand.words, row.words, sizeof row);
  simt::warp_collective(operand, "ldmatrix.x4", [](Operand* const* lanes) {
    Operand rows[32];
    for (int l = 0; l < 32; ++l) rows[l] = *lanes[l];
    for (int l = 0; l < 32; ++l)
      for (int matrix = 0; matrix < 4; ++matrix)
        lanes[l]->words[matrix] = rows[8 * matrix + l / 4].words[l % 4];
  });
}

template <class Element, class T>
void NvidiaUnit::multiply(Sum<T>& sum, const Operand& a, const Operand& b) {
  ProductMessage<Operand, Sum<T> > message{a, b, sum};
  simt::warp_collective(message, "mma.sync", [](auto* const* lanes) {
    multiply_fragments<Element, 32>(
        lanes, 32,
        [](int l, int word) {
          return Place{l / 4 + 8 * (word % 2), 4 * (l % 4) + 16 * (word / 2)};
        },
        [](int l, int i) {
          return Place{l / 4 + 8 * ((i / 2) % 2), 2 * (l % 4) + i % 2 + 8 * (i / 4)};
        });
  });
  sum = message.sum;
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
