#include "plugins/spqr/stored.h"

#include "kernels/cpu/common/numbers.h"

namespace precis::spqr {

using kernels::F16;
using sdk::PluginError;

namespace {

[[noreturn]] void damaged(const std::string& text) {
  throw PluginError(PRECIS_DATA_LOSS, text);
}

// scale * (number - zero), rounded to float16 twice.
float half_step(float scale, float number, float zero) {
  return F16::round(scale * F16::round(number - zero));
}

// The four float16 of a tile, of which row k holds byte k / 2.
struct TileNumbers {
  float scale_of_scales, scale_of_zeros, zero_of_scales, zero_of_zeros;
};

TileNumbers tile_numbers(const uint64_t* tile) {
  uint16_t halves[4] = {};
  for (uint64_t byte = 0; byte < 8; ++byte) {
    const uint64_t value = tile[2 * byte] >> 54 & 0xff;
    halves[byte / 2] = static_cast<uint16_t>(halves[byte / 2] | value << byte % 2 * 8);
  }
  return {F16::load(halves, 0), F16::load(halves, 1), F16::load(halves, 2), F16::load(halves, 3)};
}

// Of the rows' entries of row_offsets alone: others are not looked at.
void check_outliers(const Stored& stored, sdk::RowRange rows, uint64_t count) {
  if (rows.count() == 0) return;
  const uint64_t first = stored.entry_of(rows.begin), last = stored.entry_of(rows.end - 1) + 1;
  if (stored.starts[0] != 0) damaged("'row_offsets' does not begin with 0");
  if (stored.starts[first] < 0)
    damaged("'row_offsets' at " + std::to_string(first) + " is " +
            std::to_string(stored.starts[first]));
  for (uint64_t i = first + 1; i <= last; ++i) {
    if (stored.starts[i] < stored.starts[i - 1] ||
        (stored.in_turn && stored.starts[i] % static_cast<int32_t>(kTile) != 0))
      damaged("'row_offsets' at " + std::to_string(i) + " is " + std::to_string(stored.starts[i]));
  }
  if (static_cast<uint64_t>(stored.starts[last]) > count)
    damaged("'row_offsets' leaves 'col_vals'");
  for (int32_t i = stored.starts[first]; i < stored.starts[last]; ++i) {
    if ((stored.outliers[i] & 0xffff) >= stored.columns)
      damaged("'col_vals' at " + std::to_string(i) + " is of column " +
              std::to_string(stored.outliers[i] & 0xffff) + " of " +
              std::to_string(stored.columns));
  }
}

std::vector<uint16_t> read_order(const precis_tensor& part, uint64_t columns) {
  if (part.nbytes == 0) return {};
  if (part.nbytes != columns * sizeof(uint16_t))
    damaged("'in_perm' has " + std::to_string(part.nbytes) + " bytes for " +
            std::to_string(columns) + " columns");
  const auto* from = sdk::data<const uint16_t>(part);
  std::vector<uint16_t> order(from, from + columns);
  std::vector<bool> seen(columns);
  for (const uint16_t column : order) {
    if (column >= columns || seen[column]) damaged("'in_perm' is no permutation of the columns");
    seen[column] = true;
  }
  return order;
}

}  // namespace

Stored stored_weight(const precis_param& param, const sdk::ConstParts& parts, sdk::RowRange rows) {
  const sdk::Matrix matrix = sdk::matrix(param);
  Stored stored{matrix.rows, matrix.columns, nullptr, nullptr, false, nullptr, {}};
  stored.dense = sdk::data<const uint64_t>(*parts[0]);
  stored.starts = sdk::data<const int32_t>(*parts[1]);
  const uint64_t starts = parts[1]->nbytes / sizeof(int32_t);
  stored.in_turn = starts == matrix.rows / kTile + 1;
  if (!stored.in_turn && starts != matrix.rows + 1)
    damaged("'row_offsets' has " + std::to_string(starts) + " elements for " +
            std::to_string(matrix.rows) + " rows");
  stored.outliers = sdk::data<const uint32_t>(*parts[2]);
  check_outliers(stored, rows, parts[2]->nbytes / sizeof(uint32_t));
  if (parts.size() > 3) stored.columns_of = read_order(*parts[3], matrix.columns);
  return stored;
}

void decode_row(const Stored& stored, uint64_t row, float* out) {
  std::vector<float> values(stored.columns);
  for (uint64_t first = 0; first < stored.columns; first += kTile) {
    const uint64_t* tile =
        stored.dense + (row / kTile * stored.tiles_per_row() + first / kTile) * kTile;
    const TileNumbers numbers = tile_numbers(tile);
    const uint64_t word = tile[row % kTile];
    const auto code = [&](uint64_t index) { return static_cast<float>(word >> index * 3 & 7); };
    const float scale = half_step(numbers.scale_of_scales, code(0), numbers.zero_of_scales);
    const float zero = half_step(numbers.scale_of_zeros, code(1), numbers.zero_of_zeros);
    for (uint64_t i = 0; i < kTile && first + i < stored.columns; ++i)
      values[first + i] = half_step(scale, code(2 + i), zero);
  }
  const uint64_t entry = stored.entry_of(row);
  const int32_t step = stored.in_turn ? static_cast<int32_t>(kTile) : 1;
  const int32_t begin =
      stored.starts[entry] + (stored.in_turn ? static_cast<int32_t>(row % kTile) : 0);
  for (int32_t i = begin; i < stored.starts[entry + 1]; i += step) {
    const auto half = static_cast<uint16_t>(stored.outliers[i] >> 16);
    values[stored.outliers[i] & 0xffff] += F16::load(&half, 0);
  }
  for (uint64_t i = 0; i < stored.columns; ++i)
    out[stored.columns_of.empty() ? i : stored.columns_of[i]] = F16::round(values[i]);
}

}  // namespace precis::spqr
