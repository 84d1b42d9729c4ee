// The tile registers of this processor, for as long as a work item lasts. x86-64 only.
//
// As assembly: the intrinsics of GCC 12 do not say that they read memory, and what was written
// there before may move behind them. No compiler uses tiles by itself, so none need be told what is
// overwritten.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/tile_config.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Needs tile_state() == TileState::usable. Tiles and their configuration are the thread's; callers
// keep none across a call, and the kernel saves them while a signal is handled. None are left
// behind: a thread that sleeps with some makes every switch dearer.
class HardwareTiles {
 public:
  explicit HardwareTiles(const TileConfig& config) {
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  ~HardwareTiles() { asm volatile("tilerelease" ::: "memory"); }
  HardwareTiles(const HardwareTiles&) = delete;
  HardwareTiles& operator=(const HardwareTiles&) = delete;

  template <int kTile>
  void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  // Rows that lie `stride` bytes apart.
  template <int kTile>
  void load(const void* from, uint64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  void store(void* to, uint64_t stride) const {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
  }
  // kTo[m][n] += the sum over k of kA[m][k] * kB[k][n]: unsigned bytes of A times signed ones of B,
  // four to an element, into int32.
  template <int kTo, int kA, int kB>
  void dpbusd() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kTo), "i"(kA), "i"(kB));
  }
  // The same of pairs of bfloat16 into float32.
  template <int kTo, int kA, int kB>
  void dpbf16ps() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kTo), "i"(kA), "i"(kB));
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
