// Compiled once for each instruction set.
#include "kernels/cpu/fp8/linear.h"

#include "kernels/cpu/common/float8_words.h"
#include "kernels/cpu/fp8/scales.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode_groups(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint16_t* out,
                   float* scales) {
  const auto& weight = *static_cast<const Fp8Product*>(format);
  const Fp8Tiles& tiles = weight.tiles;
  float8_e4m3fn_to_bfloat16(weight.codes + row * tiles.columns + begin, end - begin, out);
  const uint64_t first = row / tiles.tile_rows * tiles.tiles_per_row();
  const uint64_t group = std::min(tiles.tile_columns, kStrip);
  for (uint64_t i = begin; i < end; i += group)
    *scales++ = load_fp8_scale(weight.scale_type, weight.scales, first + i / tiles.tile_columns);
}

}  // namespace

const Fp8LinearKernels& fp8_linear_kernels() {
  static constexpr Fp8LinearKernels kernels{decode_groups};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
