// LLM.int8() weights: kernels/cpu/bitsandbytes/int8.h has the format.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Int8Row {
  struct Weight {
    uint32_t rows, columns;
    const int8_t* codes;  // [rows][columns]
    const float* scb;     // [rows], the largest magnitude of each row
  };
  static constexpr float kInverse127 = 0.007874015718698502f;

  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    Words2 codes;
    float scb;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return Run{load_vector<Words2>(weight.codes + uint64_t{row} * weight.columns + column),
               weight.scb[row]};
  }
  struct Row {
    const int8_t* codes;
    float scb;
  };
  static PRECIS_FUNCTION Row row(const Weight& weight, uint32_t row) {
    return Row{weight.codes + uint64_t{row} * weight.columns, weight.scb[row]};
  }
  static PRECIS_FUNCTION Run load(const Weight&, const Row& row, uint32_t column, uint32_t ahead) {
    return Run{load_vector<Words2>(row.codes + column + ahead), row.scb};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    Run run{{{0, 0}}, weight.scb[row]};
    const int8_t* codes = weight.codes + uint64_t{row} * weight.columns + column;
    for (uint32_t i = 0; i < count; ++i)
      run.codes.words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(codes[i]))
                                << (8 * (i % 4));
    return run;
  }

  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] = static_cast<float>(static_cast<int8_t>(run.codes.words[i / 4] >> (8 * (i % 4))));
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) { return Scale{run.scb, 0.0f}; }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return (level * scale.scale) * kInverse127;
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale * kInverse127; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
