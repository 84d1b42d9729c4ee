// The codebooks of the IQ types as their encoders search them: which entry stands at a point, and
// which entries are near a point that has none.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/gguf/iq_grids.h"

namespace precis::kernels {

// Elements take levels 0, 1, 2 (entries of eight) or 0 ... 7 (entries of four). A point is the
// levels of its elements packed little-end first, `level_bits` each, as in iq_grids.inc.
struct Lattice {
  // Lists are filled to whole lanes by repeating their last entry.
  static constexpr uint32_t kLanes = 8;

  struct Neighbours {
    uint32_t begin;  // in `neighbours`
    uint32_t count;  // a multiple of kLanes
  };

  int elements = 0;
  int level_bits = 0;
  std::vector<uint8_t> levels;       // entry by entry
  std::vector<int32_t> at;           // by point: its entry, or -1 - its place in `lists`
  std::vector<Neighbours> lists;     // of the points without an entry
  std::vector<uint16_t> neighbours;  // entries by distance, then by number
  // The neighbours' levels: lane l of element e of the neighbours from n on, n a multiple of
  // kLanes, is number n * elements + e * kLanes + l.
  std::vector<uint8_t> neighbour_levels;
};

// Made at the first use, in some 20 ms and up to 8 MB. [any thread]
//
// The neighbours of a point are the entries at its one, two or three smallest distances, how many
// depends on the codebook: iq2xs_init_impl and iq3xs_init_impl of ggml 0.25.
const Lattice& lattice(LatticeName name);

}  // namespace precis::kernels
