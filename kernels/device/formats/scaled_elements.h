// Scaled numbers one by one (dequantize_elements.h), whatever tiles their neighbours have.
#pragma once

#include "kernels/device/formats/narrow_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

struct ScaledElements {
  using Weight = ScaledKernelWeight;
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& weight, uint32_t row, uint32_t column) {
    const uint32_t tile = weight.tile_of == nullptr ? tile_at(weight.tile_columns, column)
                                                    : static_cast<uint32_t>(weight.tile_of[column]);
    const uint32_t tile_row = tile_at(weight.tile_rows, row);
    const float number = narrow_number(weight.type, weight.bits, narrow_code(weight, row, column));
    const float scale = scale_of_tile(weight, uint64_t{tile_row} * weight.tiles_per_row + tile);
    return round_to(weight.rounding, (number - zero_of_tile(weight, tile_row, tile)) * scale);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
