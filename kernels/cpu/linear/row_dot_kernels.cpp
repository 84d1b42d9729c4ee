// Few rows of x times formats that multiply their own rows. Compiled once for each instruction set.
#include <algorithm>
#include <numeric>

#include "kernels/cpu/linear/entry_points.h"
#include "kernels/cpu/linear/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {
namespace {

// Rows of a part of the weight.
uint64_t part_rows(const LinearWeight& weight) {
  const uint64_t sharing = weight.row_dot.sharing;
  return (weight.out_features + sharing - 1) / sharing;
}

// Rows of a block that lie far apart are taken together: rows i, i + apart, i + 2 * apart and so
// on, of the parts of the weight in turn where they share bytes.
void dot_block(const LinearWeight& weight, const PreparedActivations& x, uint64_t first,
               uint64_t count, uint64_t sharing, float (&values)[kDotBlock][kFewRows]) {
  const ActivationRows activations{x.words, x.columns, x.rows, x.sums, x.scales};
  if (weight.row_dot.takes_neighbours) {
    uint64_t rows[kDotBlock];
    float sums[kDotBlock * kFewRows];
    std::iota(rows, rows + count, first);
    weight.row_dot.multiply(weight.format, {rows, count}, activations, sums);
    for (uint64_t i = 0; i < count; ++i) std::copy_n(sums + i * x.rows, x.rows, values[i]);
    return;
  }
  uint64_t rows[kDotRows], places[kDotRows], taken = 0;
  const auto multiply = [&] {
    float sums[kDotRows * kFewRows];
    weight.row_dot.multiply(weight.format, {rows, taken}, activations, sums);
    for (uint64_t i = 0; i < taken; ++i) std::copy_n(sums + i * x.rows, x.rows, values[places[i]]);
    taken = 0;
  };
  const auto take = [&](uint64_t i) {
    for (uint64_t part = 0; part < sharing; ++part) {
      const uint64_t row = part * part_rows(weight) + first + i;
      if (row >= weight.out_features) return;
      rows[taken] = row;
      places[taken] = part * count + i;
      if (++taken == kDotRows) multiply();
    }
  };
  const uint64_t sets = sharing < kDotRows ? kDotRows / sharing : 1, apart = count / sets;
  for (uint64_t i = 0; i < apart; ++i)
    for (uint64_t set = 0; set < sets; ++set) take(i + set * apart);
  for (uint64_t i = apart * sets; i < count; ++i) take(i);
  if (taken > 0) multiply();
}

}  // namespace

void dot_rows(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
              uint64_t end, const LinearOutput& y) {
  const uint64_t sharing = weight.row_dot.sharing;
  for (uint64_t first = begin; first < end; first += kDotBlock / sharing) {
    const uint64_t count = std::min(kDotBlock / sharing, end - first);
    float values[kDotBlock][kFewRows];
    dot_block(weight, x, first, count, sharing, values);
    if (weight.row_scales != nullptr) {
      for (uint64_t i = 0; i < count; ++i) {
        for (uint64_t row = 0; row < x.rows; ++row) values[i][row] *= weight.row_scales[first + i];
      }
    }
    with_type(x.source.type, [&](auto tag) {
      for (uint64_t row = 0; row < x.rows; ++row) {
        for (uint64_t part = 0; part < sharing; ++part) {
          const uint64_t from = part * part_rows(weight) + first;
          if (from >= weight.out_features) break;
          const uint64_t here = std::min(count, weight.out_features - from);
          float column[kDotBlock];
          for (uint64_t i = 0; i < here; ++i) column[i] = values[part * count + i][row];
          write_row<decltype(tag)>(y, row, from, column, here);
        }
      }
    });
  }
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
