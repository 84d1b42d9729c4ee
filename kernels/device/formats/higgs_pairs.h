// HIGGS' pairs: two columns' words of 16 bits are a word of 32, in which 2 * bits bits name a pair
// of numbers for each row that is packed there.
#pragma once

#include "kernels/device/formats/format.h"
#include "kernels/device/formats/stored_scales.h"
#include "kernels/device/higgs.h"

namespace precis::kernels::PRECIS_DEVICE {

// Where the codes of a row stand: in words of this row of the tensor, from this bit up. Of 3 bits
// the last of 16 rows has the upper two bits of three words instead.
struct HiggsPlace {
  uint32_t word_row, shift;
  bool split;
};
PRECIS_FUNCTION HiggsPlace higgs_place(const HiggsTensor& w, uint32_t row) {
  if (w.bits != 3) {
    const uint32_t together = 16 / w.bits * w.tile, rank = row % together / w.tile;
    return {row / together * w.tile + row % w.tile, 2 * w.bits * rank, false};
  }
  const uint32_t chunk = row / 512, part = row % 512 / 32, inside = row % 32;
  const uint32_t rank = part < 15 ? part % 3 * 5 + part / 3 : 15;
  const uint32_t word = rank / 5;
  if (rank == 15 || word == 0) return {chunk * 32 + inside, 6 * rank, rank == 15};
  return {w.rows / 16 + (chunk * 2 + word - 1) * 32 + inside, 6 * (rank % 5), false};
}

// The pairs of columns [column, column + 2 * count words), from their lowest bit up.
template <class Words>
PRECIS_FUNCTION Words higgs_words(const HiggsTensor& w, const HiggsPlace& place, uint32_t column) {
  constexpr int kWords = sizeof(Words) / 4;
  const auto load = [&](uint32_t word_row) {
    return load_vector<Words>(w.words + uint64_t{word_row} * w.columns + column);
  };
  Words found = load(place.word_row);
  auto* words = reinterpret_cast<uint32_t*>(&found);
  if (!place.split) {
    PRECIS_UNROLL
    for (int i = 0; i < kWords; ++i) words[i] >>= place.shift;
    return found;
  }
  const uint32_t chunk = place.word_row / 32, inside = place.word_row % 32;
  const Words second = load(w.rows / 16 + chunk * 64 + inside),
              third = load(w.rows / 16 + chunk * 64 + 32 + inside);
  const auto* seconds = reinterpret_cast<const uint32_t*>(&second);
  const auto* thirds = reinterpret_cast<const uint32_t*>(&third);
  PRECIS_UNROLL
  for (int i = 0; i < kWords; ++i)
    words[i] = words[i] >> 30 | seconds[i] >> 30 << 2 | thirds[i] >> 30 << 4;
  return found;
}

PRECIS_FUNCTION float higgs_number(WeightType type, uint32_t pair, uint32_t column) {
  const uint32_t bits = column % 2 == 0 ? pair & 0xffffu : pair >> 16;
  return type == WeightType::f16 ? half_value(static_cast<uint16_t>(bits))
                                 : bits_as<float>(bits << 16);
}

// For rotate.h.
struct HiggsElements {
  using Weight = HiggsTensor;
  template <class Out>
  static PRECIS_FUNCTION double value(const Weight& w, uint32_t row, uint32_t column) {
    const auto word = higgs_words<uint32_t>(w, higgs_place(w, row), column / 2 * 2);
    const uint32_t pair = w.pairs[word & ((1u << (2 * w.bits)) - 1)];
    const float scale =
        load_float(w.scales, uint64_t{row} * (w.columns / w.group) + column / w.group);
    return double{higgs_number(w.scales.type, pair, column)} * double{scale};
  }
};

struct HiggsPairs {
  static constexpr int kInFlight = 2;
  using Weight = HiggsTensor;
  struct Table {
    uint32_t pairs[256];
    uint32_t mask;
    WeightType type;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    const uint32_t count = 1u << (2 * weight.bits);
    // Every kernel has 128 threads or more.
    if (threadIdx.x >= 128) return;
    for (uint32_t i = threadIdx.x; i < count; i += 128) table.pairs[i] = weight.pairs[i];
    if (threadIdx.x != 0) return;
    table.mask = count - 1;
    table.type = weight.scales.type;
  }

  struct Run {
    Words4 words;
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return Run{higgs_words<Words4>(weight, higgs_place(weight, row), column),
               load_float(weight.scales,
                          uint64_t{row} * (weight.columns / weight.group) + column / weight.group)};
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    const uint32_t mask = table.mask;
    const WeightType type = table.type;
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      levels[i] = higgs_number(type, table.pairs[run.words.words[i / 2] & mask], i);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
