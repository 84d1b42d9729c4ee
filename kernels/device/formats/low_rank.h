// A weight of format Inner with further columns for its low-rank part, which meet x times the
// part's `down`.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

// Element: half or bfloat16, of the activations and of `up`.
template <class Inner, class Element>
struct WithLowRank {
  static constexpr int kInFlight = Inner::kInFlight, kRowsOfWarp = 1;

  struct Weight {
    uint32_t rows, columns;  // with those of the low-rank part
    typename Inner::Weight inner;
    const Element* up;  // [rows][columns - inner.columns]
  };
  using Table = typename Inner::Table;
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    Inner::fill(table, weight.inner);
  }

  // Of a low-rank part, eight numbers in the place of what Inner loads.
  struct Run {
    typename Inner::Run inner;
    bool is_low;
  };
  static_assert(sizeof(typename Inner::Run) >= sizeof(Words4));
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint32_t columns = weight.inner.columns;
    if (column < columns) return Run{Inner::load(weight.inner, row, column), false};
    const auto numbers = load_vector<Words4>(
        weight.up + uint64_t{row} * (weight.columns - columns) + (column - columns));
    Run run{};
    run.is_low = true;
    memcpy(&run.inner, &numbers, sizeof numbers);
    return run;
  }
  // Rows are whole runs.
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    if (!run.is_low) return Inner::unpack(table, run.inner, levels);
    Words4 numbers;
    memcpy(&numbers, &run.inner, sizeof numbers);
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] = to_float(Element{static_cast<uint16_t>(numbers.words[i / 2] >> (16 * (i % 2)))});
  }
  static PRECIS_FUNCTION Scale scale(const Weight& weight, const Run& run) {
    return run.is_low ? Scale{1.0f, 0.0f} : Inner::scale(weight.inner, run.inner);
  }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    return Inner::value(weight.inner, level, scale);
  }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) requires requires {
    Inner::rounding(weight.inner);
  }
  { return Inner::rounding(weight.inner); }
  static constexpr bool kShifted = Inner::kShifted;
  static PRECIS_FUNCTION float factor(Scale scale) { return Inner::factor(scale); }
};

}  // namespace precis::kernels::PRECIS_DEVICE
