// AQLM's blocks, sums of a codeword of each codebook: kernels/cpu/aqlm/aqlm.h has the format.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

struct AdditiveBlocks {
  static constexpr int kInFlight = 1;  // a run holds eight sums, and loads of three dtypes

  struct Weight {
    uint32_t rows, columns;
    const void* codes;
    bool wide;  // codes of 16 bits, not 8
    uint32_t mask;
    uint64_t out_stride, in_stride;
    uint32_t out_group, in_group, codebooks;  // in_group is a multiple of 8
    Rounding type;                            // of codebooks, scales, sums and values
    const void* entries;                      // [codebooks][mask + 1][out_group][in_group]
    const void* scales;                       // [rows / out_group]
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    float sums[kRun];
    float scale;
  };

  static PRECIS_FUNCTION void add_entry(const Weight& weight, uint64_t at, float (&sums)[kRun]) {
    const bool wide = weight.type == Rounding::none, half = weight.type == Rounding::half;
    const auto* from = static_cast<const unsigned char*>(weight.entries) + at * (wide ? 4 : 2);
    const auto first = load_vector<Words4>(from);
    const auto second = load_vector<Words4>(from + (wide ? 16 : 0));
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i) {
      const uint32_t bits = first.words[i / 2] >> (16 * (i % 2));
      const float narrow =
          half ? half_value(static_cast<uint16_t>(bits)) : bits_as<float>(bits << 16);
      sums[i] += wide ? bits_as<float>(i < 4 ? first.words[i % 4] : second.words[i % 4]) : narrow;
    }
  }
  static PRECIS_FUNCTION float scale_at(const Weight& weight, uint32_t i) {
    if (weight.type == Rounding::half) return to_float(static_cast<const Half*>(weight.scales)[i]);
    if (weight.type == Rounding::bfloat16)
      return to_float(static_cast<const BFloat16*>(weight.scales)[i]);
    return static_cast<const float*>(weight.scales)[i];
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t first =
        row / weight.out_group * weight.out_stride + column / weight.in_group * weight.in_stride;
    const uint64_t size = uint64_t{weight.out_group} * weight.in_group,
                   inside = row % weight.out_group * weight.in_group + column % weight.in_group;
    Run run{{}, scale_at(weight, row / weight.out_group)};
    // Few codebooks: more of them at once would take registers.
#if !defined(PRECIS_DEVICE_SIMT)
#pragma unroll 1
#endif
    for (uint32_t book = 0; book < weight.codebooks; ++book) {
      const uint32_t stored = weight.wide ? static_cast<const uint16_t*>(weight.codes)[first + book]
                                          : static_cast<const uint8_t*>(weight.codes)[first + book];
      const uint64_t word = uint64_t{book} * (weight.mask + 1) + (stored & weight.mask);
      add_entry(weight, word * size + inside, run.sums);
    }
    return run;
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i) levels[i] = run.sums[i];
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  // Sums in bfloat16 are rounded with ties away from zero, as torch's embedding_bag has them.
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    const uint32_t bits = bits_as<uint32_t>(level);
    const bool number = (bits & 0x7fffffffu) <= 0x7f800000u;
    const float away = bits_as<float>((bits + 0x8000u) & 0xffff0000u);
    const float sum =
        weight.type == Rounding::bfloat16 ? (number ? away : level) : round_to(weight.type, level);
    return round_to(weight.type, sum * scale.scale);
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) {
    return scale.scale;
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
