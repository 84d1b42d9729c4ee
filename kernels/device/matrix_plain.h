// Without matrix units (gfx10): each lane computes half a row of the sum.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

template <class Element>
struct PlainElement {
  static PRECIS_FUNCTION float load(const unsigned char* at) {
    return to_float(*reinterpret_cast<const Element*>(at));
  }
};
template <>
struct PlainElement<int8_t> {
  static PRECIS_FUNCTION int load(const unsigned char* at) {
    return *reinterpret_cast<const int8_t*>(at);
  }
};

struct PlainUnit {
  static constexpr int kLanes = 32;
  struct Operand {
    const unsigned char* tile;
    int pitch;
  };
  template <class T>
  struct Sum {
    T values[8];
  };
  static PRECIS_FUNCTION int row(int) { return lane() / 2; }
  static PRECIS_FUNCTION int column(int i) { return 8 * (lane() % 2) + i; }

  static PRECIS_FUNCTION void load(Operand& operand, const unsigned char* tile, int pitch) {
    operand = Operand{tile, pitch};
  }

  template <class Element, class T>
  static PRECIS_FUNCTION void multiply(Sum<T>& sum, const Operand& a, const Operand& b) {
    for (int k = 0; k < 32; k += static_cast<int>(sizeof(Element))) {
      const T left = PlainElement<Element>::load(a.tile + row(0) * a.pitch + k);
      PRECIS_UNROLL
      for (int i = 0; i < 8; ++i)
        sum.values[i] += left * PlainElement<Element>::load(b.tile + column(i) * b.pitch + k);
    }
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
