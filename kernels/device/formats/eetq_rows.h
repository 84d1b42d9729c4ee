// EETQ's int8 in the order of its kernels: kernels/cpu/eetq/eetq.h has the format.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

// Of 16 neighbouring columns the first eight stand in the even bytes of 16, the others in the odd
// ones; pieces of 64 columns of two rows take turns.
struct EetqRows {
  struct Weight {
    uint32_t rows, columns;  // multiples of 64
    const uint8_t* codes;    // 128 stands for zero
    const uint16_t* scales;  // float16, of a row
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    Words4 bytes;
    uint32_t shift;
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t at = uint64_t{row / 2} * 2 * weight.columns + 128 * (column / 64) +
                        64 * (row % 2) + column % 64 / 16 * 16;
    return Run{load_vector<Words4>(weight.codes + at), column % 16, half_value(weight.scales[row])};
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i) {
      const uint32_t code = run.bytes.words[i / 2] >> (16 * (i % 2) + run.shift) & 0xffu;
      levels[i] = static_cast<float>(static_cast<int>(code) - 128);
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return round_to(Rounding::half, level * scale.scale);
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
