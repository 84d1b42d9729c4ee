// Weights in float16 or bfloat16 as they are.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

template <class Element>
struct Dense {
  struct Weight {
    uint32_t rows, columns;
    const Element* values;  // [rows][columns]
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    Words4 values;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return Run{load_vector<Words4>(weight.values + uint64_t{row} * weight.columns + column)};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    const Element* from = weight.values + uint64_t{row} * weight.columns + column;
    Run run{};
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      if (i < count)
        run.values.words[i / 2] |= static_cast<uint32_t>(from[i].bits) << (16 * (i % 2));
    return run;
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] =
          to_float(Element{static_cast<uint16_t>(run.values.words[i / 2] >> (16 * (i % 2)))});
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run&) { return Scale{1.0f, 0.0f}; }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale) { return level; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
