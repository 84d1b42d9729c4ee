// AMD CDNA2 and CDNA3 (gfx90a, gfx942): v_mfma over a wave of 64 lanes. Layouts: AMD's matrix
// instruction calculator, V_MFMA_F32_16X16X16_F16, V_MFMA_I32_16X16X16_I8, V_MFMA_I32_16X16X32_I8.
#pragma once

#include "kernels/device/fragments_simt.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

struct CdnaUnit {
  static constexpr int kLanes = 64;
  // 8 bytes of row lane % 16, from byte 8 * (lane / 16) on. With int8 on gfx90a the two words go to
  // two products of 16 elements each; which of the 32 fall to which does not matter to their sum.
  struct Operand {
    uint32_t words[2];
  };
  // Rows 4 * (lane / 16) + i, column lane % 16.
  template <class T>
  struct Sum {
    T values[4];
  };
  static PRECIS_FUNCTION int team_lane() { return static_cast<int>(threadIdx.x % 64); }
  static PRECIS_FUNCTION int row(int i) { return 4 * (team_lane() / 16) + i; }
  static PRECIS_FUNCTION int column(int) { return team_lane() % 16; }

  static PRECIS_FUNCTION void load(Operand& operand, const unsigned char* tile, int pitch) {
    const auto words =
        load_vector<Words2>(tile + (team_lane() % 16) * pitch + 8 * (team_lane() / 16));
    operand.words[0] = words.words[0];
    operand.words[1] = words.words[1];
  }

  template <class Element, class T>
  static PRECIS_FUNCTION void multiply(Sum<T>& sum, const Operand& a, const Operand& b);
};

#if defined(__gfx90a__) || defined(__gfx942__)

template <>
PRECIS_FUNCTION void CdnaUnit::multiply<Half, float>(Sum<float>& sum, const Operand& a,
                                                     const Operand& b) {
  typedef _Float16 Half4 __attribute__((ext_vector_type(4)));
  typedef float Float4 __attribute__((ext_vector_type(4)));
  const Float4 result = __builtin_amdgcn_mfma_f32_16x16x16f16(bits_as<Half4>(a), bits_as<Half4>(b),
                                                              bits_as<Float4>(sum), 0, 0, 0);
  sum = bits_as<Sum<float>>(result);
}
template <>
PRECIS_FUNCTION void CdnaUnit::multiply<BFloat16, float>(Sum<float>& sum, const Operand& a,
                                                         const Operand& b) {
  typedef short Short4 __attribute__((ext_vector_type(4)));
  typedef float Float4 __attribute__((ext_vector_type(4)));
  const Float4 result = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(
      bits_as<Short4>(a), bits_as<Short4>(b), bits_as<Float4>(sum), 0, 0, 0);
  sum = bits_as<Sum<float>>(result);
}
template <>
PRECIS_FUNCTION void CdnaUnit::multiply<int8_t, int>(Sum<int>& sum, const Operand& a,
                                                     const Operand& b) {
  typedef int Int4 __attribute__((ext_vector_type(4)));
  Int4 result = bits_as<Int4>(sum);
#if defined(__gfx90a__)
  for (int i = 0; i < 2; ++i)
    result = __builtin_amdgcn_mfma_i32_16x16x16i8(static_cast<int>(a.words[i]),
                                                  static_cast<int>(b.words[i]), result, 0, 0, 0);
#else
  result =
      __builtin_amdgcn_mfma_i32_16x16x32_i8(bits_as<long>(a), bits_as<long>(b), result, 0, 0, 0);
#endif
  sum = bits_as<Sum<int>>(result);
}

#elif defined(PRECIS_DEVICE_SIMT)

template <class Element, class T>
void CdnaUnit::multiply(Sum<T>& sum, const Operand& a, const Operand& b) {
  ProductMessage<Operand, Sum<T>> message{a, b, sum};
  simt::warp_collective(
      message, "v_mfma",
      [](auto* const* lanes) {
        multiply_fragments<Element, 32>(
            lanes, 64,
            [](int l, int word) {
              return Place{l % 16, 8 * (l / 16) + 4 * word};
            },
            [](int l, int i) {
              return Place{4 * (l / 16) + i, l % 16};
            });
      },
      64);
  sum = message.sum;
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
