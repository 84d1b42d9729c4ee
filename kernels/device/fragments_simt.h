// Fragments of a team of lanes on the executor, as plain matrices.
#pragma once

#if defined(PRECIS_DEVICE_SIMT)

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

template <class Element>
struct ElementTraits;
template <>
struct ElementTraits<Half> {
  using Sum = float;
  static float value(const unsigned char* at) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return to_float(Half{bits});
  }
};
template <>
struct ElementTraits<BFloat16> {
  using Sum = float;
  static float value(const unsigned char* at) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return to_float(BFloat16{bits});
  }
};
template <>
struct ElementTraits<int8_t> {
  using Sum = int;
  static int value(const unsigned char* at) { return static_cast<int8_t>(*at); }
};

// What one lane brings to a product of fragments and takes from it.
template <class Operand, class Sum>
struct ProductMessage {
  Operand a, b;
  Sum sum;
};

// sum += a b^T over all lanes. place_operand(lane, word) gives the row and the first byte of a word
// of an operand; place_sum(lane, i) the row and column of a value. Operands have 16 rows of
// RowBytes.
struct Place {
  int row, column;
};
template <class Element, int RowBytes, class Message, class PlaceOperand, class PlaceSum>
void multiply_fragments(Message* const* lanes, int count, PlaceOperand place_operand,
                        PlaceSum place_sum) {
  unsigned char a[16][RowBytes], b[16][RowBytes];
  constexpr int kWords = static_cast<int>(sizeof(lanes[0]->a) / 4);
  constexpr int kValues = static_cast<int>(sizeof(lanes[0]->sum) / 4);
  for (int lane = 0; lane < count; ++lane) {
    for (int word = 0; word < kWords; ++word) {
      const Place place = place_operand(lane, word);
      std::memcpy(&a[place.row][place.column], &lanes[lane]->a.words[word], 4);
      std::memcpy(&b[place.row][place.column], &lanes[lane]->b.words[word], 4);
    }
  }
  using Traits = ElementTraits<Element>;
  constexpr int kBytes = static_cast<int>(sizeof(Element));
  typename Traits::Sum wide_a[16][RowBytes / kBytes], wide_b[16][RowBytes / kBytes];
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < RowBytes / kBytes; ++k) {
      wide_a[row][k] = Traits::value(&a[row][k * kBytes]);
      wide_b[row][k] = Traits::value(&b[row][k * kBytes]);
    }
  }
  for (int lane = 0; lane < count; ++lane) {
    for (int i = 0; i < kValues; ++i) {
      const Place place = place_sum(lane, i);
      typename Traits::Sum sum = lanes[lane]->sum.values[i];
      for (int k = 0; k < RowBytes / kBytes; ++k)
        sum += wide_a[place.row][k] * wide_b[place.column][k];
      lanes[lane]->sum.values[i] = sum;
    }
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE

#endif
