// The matrix-matrix stage with AMX tiles. Compiled for avx512_dot, which decodes and scales; the
// rest of a product is avx512_dot's as well.
#include "kernels/cpu/common/hardware_tiles.h"
#include "kernels/cpu/common/software_tiles.h"
#include "kernels/cpu/linear/entry_points.h"
#include "kernels/cpu/linear/multiply_block.h"
#include "kernels/cpu/linear/tile_strips.h"

// What the tests replace.
#ifndef PRECIS_TILES
#define PRECIS_TILES HardwareTiles
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

void multiply_block(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                    uint64_t end, uint64_t x_begin, uint64_t x_end, const LinearOutput& y,
                    std::byte* scratch) {
  if (weight.arithmetic == Arithmetic::float32)
    return vector_stages(Isa::avx512_dot)
        .multiply_block(weight, x, begin, end, x_begin, x_end, y, scratch);
  const bool blocks = weight.arithmetic == Arithmetic::int8_blocks;
  TileStrips<PRECIS_TILES> strips(blocks ? weight.block : TileConfig::kRowBytes);
  multiply_block(strips, weight, x, begin, end, x_begin, x_end, y, scratch);
}

}  // namespace linear

const ProductStages& tile_stages() {
  static const ProductStages stages = [] {
    ProductStages all = vector_stages(Isa::avx512_dot);
    all.multiply_block = linear::multiply_block;
    return all;
  }();
  return stages;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
