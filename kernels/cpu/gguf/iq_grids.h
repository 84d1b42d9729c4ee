// The codebooks of the IQ types: lattice points by index.
#pragma once

#include <cstdint>

namespace precis::kernels {

// Eight magnitudes (IQ2) or values -1, 0, 1 (IQ1) an entry; four magnitudes (IQ3).
struct IqGrids {
  int8_t iq2xxs[256][8];
  int8_t iq2xs[512][8];
  int8_t iq2s[1024][8];
  int8_t iq1s[2048][8];
  int8_t iq3xxs[256][4];
  int8_t iq3s[512][4];
  // Signs of 8 values from 7 bits: the eighth makes the number of minus signs even.
  uint8_t signs[128];
};

// Expanded once. [any thread]
const IqGrids& iq_grids();

}  // namespace precis::kernels
