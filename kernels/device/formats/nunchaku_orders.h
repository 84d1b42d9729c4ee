// Where Nunchaku's tensor-core orders hold an element of a weight [rows][columns].
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// Of weights below 2^34 elements: the word of 8 neighbours that begin at a multiple of 8.
PRECIS_FUNCTION uint32_t svdq_word(uint32_t columns, uint32_t row, uint32_t column) {
  const uint32_t tile = row / 128 * (columns / 64) + column / 64;
  const uint32_t of_row = row % 128 / 16 * 8 + row % 8;
  return (tile * 64 + of_row) * 16 + column % 32 / 8 * 4 + row % 16 / 8 * 2 + column % 64 / 32;
}

// A scale of int4; of a vector's number, with one group.
PRECIS_FUNCTION uint32_t svdq_scale(uint32_t groups, uint32_t row, uint32_t group) {
  const uint32_t tile = row / 128 * groups + group;
  return tile * 128 + row % 128 / 16 * 16 + row % 8 / 2 * 4 + row % 16 / 8 * 2 + row % 2;
}

// A scale of NVFP4.
PRECIS_FUNCTION uint32_t svdq_micro_scale(uint32_t groups, uint32_t row, uint32_t group) {
  const uint32_t tile = row / 128 * (groups / 4) + group / 4;
  return tile * 512 + row % 8 * 64 + row % 32 / 8 * 16 + row % 128 / 32 * 4 + group % 4;
}

// An element of the low-rank part: of `up` with the order of rows and ranks, of `down` with that of
// columns and ranks.
PRECIS_FUNCTION uint64_t svdq_up(uint32_t rank, uint32_t row, uint32_t r) {
  const uint64_t tile = uint64_t{row / 16} * (rank / 16) + r / 16;
  return tile * 256 + row % 8 * 32 + r % 8 / 2 * 8 + row % 16 / 8 * 4 + r % 16 / 8 * 2 + r % 2;
}
PRECIS_FUNCTION uint64_t svdq_down(uint32_t rank, uint32_t column, uint32_t r) {
  const uint64_t tile = uint64_t{column / 16} * (rank / 16) + r / 16;
  return tile * 256 + r % 8 * 32 + column % 8 / 2 * 8 + r % 16 / 8 * 4 + column % 16 / 8 * 2 +
         column % 2;
}

}  // namespace precis::kernels::PRECIS_DEVICE
