// BitNet's ternary numbers: the four codes of a byte are of rows that lie a quarter of the weight
// apart.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

struct TernaryRows {
  struct Weight {
    uint32_t rows, columns;
    const uint8_t* codes;  // [rows / 4][columns]
    float step;            // what 1 stands for; codes are from -1 on
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    Words2 codes;  // a byte each
  };
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    const uint32_t quarter = weight.rows / 4, shift = row / quarter * 2;
    const uint8_t* from = weight.codes + uint64_t{row % quarter} * weight.columns + column;
    Run run{};
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      if (i < count)
        run.codes.words[i / 4] |= (static_cast<uint32_t>(from[i]) >> shift & 3u) << (8 * (i % 4));
    return run;
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint32_t quarter = weight.rows / 4, shift = row / quarter * 2;
    const auto bytes =
        load_vector<Words2>(weight.codes + uint64_t{row % quarter} * weight.columns + column);
    return Run{
        Words2{{bytes.words[0] >> shift & 0x03030303u, bytes.words[1] >> shift & 0x03030303u}}};
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] =
          static_cast<float>(static_cast<int>(run.codes.words[i / 4] >> (8 * (i % 4)) & 3u) - 1);
  }
  static PRECIS_FUNCTION Scale scale(const Weight& weight, const Run&) {
    return Scale{weight.step, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
