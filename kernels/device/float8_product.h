// A product of float8 codes with float8 codes, as both kernels of it take it.
#pragma once

#include "kernels/device/formats/float8_tile.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Float8Operand {
  const uint8_t* codes;  // [rows][columns]
  TileScales scales;
};

struct Float8Product {
  uint32_t m, rows, columns;  // x is [m][columns], the weight [rows][columns], y [m][rows]
  uint32_t block_columns;     // columns with the same scales; a multiple of 64, or at least columns
  Float8Operand x, weight;
};

}  // namespace precis::kernels::PRECIS_DEVICE
