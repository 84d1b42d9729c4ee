// AWQ's codes as Nunchaku Lite has them: words of 16 bits hold a row's columns 8 apart.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

struct NunchakuAwq {
  struct Weight {
    uint32_t rows, columns, group;
    bool wide;  // scales or zeros in float32
    const uint16_t* codes;
    StoredFloats scales, zeros;  // [columns / group][rows]
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    Words4 words;
    uint32_t shift;
    float scale, zero;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t tile = uint64_t{row / 4} * (weight.columns / 64) + column / 64;
    const uint64_t group = uint64_t{column / weight.group} * weight.rows + row;
    return Run{load_vector<Words4>(weight.codes + tile * 64 + row % 4 * 16 + column % 64 / 32 * 8),
               column % 32 / 8 * 4, load_float(weight.scales, group),
               load_float(weight.zeros, group)};
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      levels[i] = static_cast<float>(run.words.words[i / 2] >> (16 * (i % 2) + run.shift) & 15u);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, run.zero};
  }
  // The sum in double, rounded to float32. Of scales and zeros in 16 bits it is rounded once:
  // either it is exact in double, or the lesser number is below half a unit of float32.
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    if (weight.wide)
      return static_cast<float>(double{level} * double{scale.scale} + double{scale.shift});
    return fused_multiply_add(level, scale.scale, scale.shift);
  }
  static constexpr bool kShifted = true;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
