// The codebooks of the IQ types: lattice points by index.
#pragma once

#include <cstddef>
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

// IQ1_S and IQ1_M share a codebook.
enum class LatticeName { iq1, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s };
inline constexpr std::size_t kLatticeCount = 6;

// A codebook as levels in place of values: element j of entry i is the `level_bits` bits of
// entries[i] from level_bits * j on.
struct PackedGrid {
  const uint16_t* entries;
  uint32_t count;
  int elements;
  int level_bits;
};
PackedGrid packed_grid(LatticeName name);

}  // namespace precis::kernels
