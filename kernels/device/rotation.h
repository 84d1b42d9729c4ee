// Rotations of the columns of a matrix, block by block: those that weights were stored after, which
// their decoding undoes and activations undergo in a product.
#pragma once

#include <cstdint>

#include "kernels/device/stored_floats.h"

namespace precis::kernels {

enum class RotationKind : uint32_t {
  twos,    // powers of [[1, 1], [1, -1]]
  fours,   // powers of [[1,1,1,-1], [1,1,-1,1], [1,-1,1,1], [-1,1,1,1]]
  matrix,  // stored beside the weight
};

// Rows of numbers times a matrix of this size, for each `size` columns; 0: none. twos and fours are
// symmetric, their sums are multiplied by `factor`.
struct Rotation {
  RotationKind kind;
  uint32_t size;
  double factor;
  StoredFloats matrix;  // [size][size]: number i becomes the sum of row i times the numbers
  bool transposed;      // of column i
};

// Columns that can be rotated together on a device.
inline constexpr uint32_t kMostRotated = 4096;

}  // namespace precis::kernels
