#include "kernels/cpu/gguf/iq_grids.h"

#include <bit>

namespace precis::kernels {
namespace {

#define PRECIS_LATTICE constexpr
#include "kernels/cpu/gguf/iq_grids.inc"
#undef PRECIS_LATTICE

template <int kElements, int kBits, std::size_t kEntries, std::size_t kDigits>
void expand(const uint16_t (&packed)[kEntries], const int8_t (&values)[kDigits],
            int8_t (&grid)[kEntries][kElements]) {
  for (std::size_t entry = 0; entry < kEntries; ++entry) {
    for (int j = 0; j < kElements; ++j)
      grid[entry][j] = values[(packed[entry] >> (kBits * j)) & ((1 << kBits) - 1)];
  }
}

}  // namespace

const IqGrids& iq_grids() {
  static const IqGrids* const grids = [] {
    auto* made = new IqGrids();
    constexpr int8_t kTwo[] = {8, 25, 43}, kOne[] = {-1, 0, 1},
                     kThreeXxs[] = {4, 12, 20, 28, 36, 44, 52, 62};
    constexpr int8_t kThreeS[] = {1, 3, 5, 7, 9, 11, 13, 15};
    expand<8, 2>(kIq2xxs, kTwo, made->iq2xxs);
    expand<8, 2>(kIq2xs, kTwo, made->iq2xs);
    expand<8, 2>(kIq2s, kTwo, made->iq2s);
    expand<8, 2>(kIq1s, kOne, made->iq1s);
    expand<4, 3>(kIq3xxs, kThreeXxs, made->iq3xxs);
    expand<4, 3>(kIq3s, kThreeS, made->iq3s);
    for (uint32_t i = 0; i < 128; ++i)
      made->signs[i] = static_cast<uint8_t>(i | ((std::popcount(i) & 1u) << 7));
    return made;
  }();
  return *grids;
}

PackedGrid packed_grid(LatticeName name) {
  switch (name) {
    case LatticeName::iq1:
      return {kIq1s, 2048, 8, 2};
    case LatticeName::iq2_xxs:
      return {kIq2xxs, 256, 8, 2};
    case LatticeName::iq2_xs:
      return {kIq2xs, 512, 8, 2};
    case LatticeName::iq2_s:
      return {kIq2s, 1024, 8, 2};
    case LatticeName::iq3_xxs:
      return {kIq3xxs, 256, 4, 3};
    case LatticeName::iq3_s:
      return {kIq3s, 512, 4, 3};
  }
  return {};
}

}  // namespace precis::kernels
