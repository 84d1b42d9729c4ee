// AMD RDNA3 and RDNA4 (gfx1100, gfx1201): v_wmma over a wave of 32 lanes. Layouts: AMD's matrix
// instruction calculator, V_WMMA_F32_16X16X16_F16 and V_WMMA_I32_16X16X16_IU8 of both.
#pragma once

#include "kernels/device/fragments_simt.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// A lane holds the whole row lane % 16: both halves of the wave hold the same.
struct Rdna3Unit {
  static constexpr int kLanes = 32;
  struct Operand {
    uint32_t words[8];
  };
  // Rows 2 i + lane / 16, column lane % 16.
  template <class T>
  struct Sum {
    T values[8];
  };
  static PRECIS_FUNCTION int row(int i) { return 2 * i + lane() / 16; }
  static PRECIS_FUNCTION int column(int) { return lane() % 16; }

  static PRECIS_FUNCTION void load(Operand& operand, const unsigned char* tile, int pitch) {
    for (int part = 0; part < 2; ++part) {
      const auto words = load_vector<Words4>(tile + (lane() % 16) * pitch + 16 * part);
      for (int i = 0; i < 4; ++i) operand.words[4 * part + i] = words.words[i];
    }
  }
  template <class Element, class T>
  static PRECIS_FUNCTION void multiply(Sum<T>& sum, const Operand& a, const Operand& b);
};

// A lane holds 16 bytes of row lane % 16: the first half of the wave the first, the second the
// rest.
struct Rdna4Unit {
  static constexpr int kLanes = 32;
  struct Operand {
    uint32_t words[4];
  };
  // Rows 8 * (lane / 16) + i, column lane % 16.
  template <class T>
  struct Sum {
    T values[8];
  };
  static PRECIS_FUNCTION int row(int i) { return 8 * (lane() / 16) + i; }
  static PRECIS_FUNCTION int column(int) { return lane() % 16; }

  static PRECIS_FUNCTION void load(Operand& operand, const unsigned char* tile, int pitch) {
    const auto words = load_vector<Words4>(tile + (lane() % 16) * pitch + 16 * (lane() / 16));
    for (int i = 0; i < 4; ++i) operand.words[i] = words.words[i];
  }
  template <class Element, class T>
  static PRECIS_FUNCTION void multiply(Sum<T>& sum, const Operand& a, const Operand& b);
};

#if defined(__gfx1100__) || defined(__gfx1201__)

typedef float Float8 __attribute__((ext_vector_type(8)));
typedef int Int8 __attribute__((ext_vector_type(8)));
#if defined(__gfx1100__)
typedef _Float16 WmmaHalf __attribute__((ext_vector_type(16)));
typedef short WmmaShort __attribute__((ext_vector_type(16)));
typedef int WmmaInt __attribute__((ext_vector_type(4)));
using WmmaUnit = Rdna3Unit;
#define PRECIS_WMMA(name) __builtin_amdgcn_wmma_##name##_w32
#else
typedef _Float16 WmmaHalf __attribute__((ext_vector_type(8)));
typedef short WmmaShort __attribute__((ext_vector_type(8)));
typedef int WmmaInt __attribute__((ext_vector_type(2)));
using WmmaUnit = Rdna4Unit;
#define PRECIS_WMMA(name) __builtin_amdgcn_wmma_##name##_w32_gfx12
#endif

template <>
PRECIS_FUNCTION void WmmaUnit::multiply<Half, float>(Sum<float>& sum, const Operand& a,
                                                     const Operand& b) {
  sum = bits_as<Sum<float>>(PRECIS_WMMA(f32_16x16x16_f16)(
      bits_as<WmmaHalf>(a), bits_as<WmmaHalf>(b), bits_as<Float8>(sum)));
}
template <>
PRECIS_FUNCTION void WmmaUnit::multiply<BFloat16, float>(Sum<float>& sum, const Operand& a,
                                                         const Operand& b) {
  sum = bits_as<Sum<float>>(PRECIS_WMMA(f32_16x16x16_bf16)(
      bits_as<WmmaShort>(a), bits_as<WmmaShort>(b), bits_as<Float8>(sum)));
}
// Two products of 16 elements; which of the 32 fall to which does not matter to their sum.
template <>
PRECIS_FUNCTION void WmmaUnit::multiply<int8_t, int>(Sum<int>& sum, const Operand& a,
                                                     const Operand& b) {
  struct Halves {
    WmmaInt part[2];
  };
  const auto left = bits_as<Halves>(a), right = bits_as<Halves>(b);
  auto result = bits_as<Int8>(sum);
  for (int i = 0; i < 2; ++i)
    result = PRECIS_WMMA(i32_16x16x16_iu8)(true, left.part[i], true, right.part[i], result, false);
  sum = bits_as<Sum<int>>(result);
}
#undef PRECIS_WMMA

#elif defined(PRECIS_DEVICE_SIMT)

template <class Element, class T>
void Rdna3Unit::multiply(Sum<T>& sum, const Operand& a, const Operand& b) {
  ProductMessage<Operand, Sum<T>> message{a, b, sum};
  simt::warp_collective(message, "v_wmma", [](auto* const* lanes) {
    multiply_fragments<Element, 32>(
        lanes, 32,
        [](int l, int word) {
          return Place{l % 16, 4 * word};
        },
        [](int l, int i) {
          return Place{2 * i + l / 16, l % 16};
        });
  });
  sum = message.sum;
}

template <class Element, class T>
void Rdna4Unit::multiply(Sum<T>& sum, const Operand& a, const Operand& b) {
  ProductMessage<Operand, Sum<T>> message{a, b, sum};
  simt::warp_collective(message, "v_wmma_gfx12", [](auto* const* lanes) {
    multiply_fragments<Element, 32>(
        lanes, 32,
        [](int l, int word) {
          return Place{l % 16, 16 * (l / 16) + 4 * word};
        },
        [](int l, int i) {
          return Place{8 * (l / 16) + i, l % 16};
        });
  });
  sum = message.sum;
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
