// SDNQ's numbers in groups of whole runs.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/formats/sdnq_codes.h"

namespace precis::kernels::PRECIS_DEVICE {

// Codes are numbers, or entries of their group's codebook.
template <bool Codebook>
struct SdnqRuns {
  static constexpr int kInFlight = Codebook ? 1 : 2;  // a byte a load

  using Weight = SdnqTensor;
  struct Table {
    SdnqNumber number;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0) table.number = weight.number;
  }

  struct Numbers {
    uint64_t codes;
    float scale, zero;
  };
  struct Entries {
    float levels[kRun];
  };
  using Run = std::conditional_t<Codebook, Entries, Numbers>;
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t codes = sdnq_codes(weight, (uint64_t{row} * weight.columns + column) / kRun),
                   group = sdnq_group(weight, row, column);
    if constexpr (Codebook) {
      Run run;
      PRECIS_UNROLL
      for (uint32_t i = 0; i < kRun; ++i)
        run.levels[i] =
            load_float(weight.scales, group * weight.levels + (codes >> (8 * i) & 255u));
      return run;
    } else {
      return Run{codes, load_float(weight.scales, group),
                 weight.zeros.data == nullptr ? 0.0f : load_float(weight.zeros, group)};
    }
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    if constexpr (Codebook) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i) levels[i] = run.levels[i];
    } else {
      const SdnqNumber number = table.number;
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i)
        levels[i] = sdnq_value(number, static_cast<uint32_t>(run.codes >> (8 * i)) & 255u);
    }
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    if constexpr (Codebook)
      return Scale{1.0f, 0.0f};
    else
      return Scale{run.scale, run.zero};
  }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    if (Codebook) return level;
    return weight.zeros.data == nullptr ? level * scale.scale
                                        : fused_multiply_add(level, scale.scale, scale.shift);
  }
  static constexpr bool kShifted = !Codebook;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
