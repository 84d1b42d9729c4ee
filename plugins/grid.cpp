#include "plugins/grid.h"

#include <cmath>

#include "plugins/weight_type.h"

namespace precis::plugins {

using sdk::PluginError;

namespace {

enum Place : std::size_t { kScales, kRowTiles, kColumnTiles, kZeros };

[[noreturn]] void unsupported(const std::string& rule) {
  throw PluginError(PRECIS_UNSUPPORTED, rule);
}

std::string number(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}

// The distinct tiles that the indices of each group of a format lie in.
template <typename GroupOf>
std::vector<std::vector<int32_t>> touched(const int32_t* tiles, uint64_t count, uint64_t groups,
                                          GroupOf&& group_of) {
  std::vector<std::vector<int32_t>> found(groups);
  for (uint64_t i = 0; i < count; ++i) {
    std::vector<int32_t>& list = found[group_of(i)];
    // Neighbours lie in one tile mostly.
    if (!list.empty() && list.back() == tiles[i]) continue;
    if (std::find(list.begin(), list.end(), tiles[i]) == list.end()) list.push_back(tiles[i]);
  }
  return found;
}

const int32_t* checked_map(const precis_tensor& map, uint64_t count, uint64_t tiles) {
  const auto* of = sdk::data<const int32_t>(map);
  if (map.nbytes < count * sizeof(int32_t))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the grid's maps are shorter than the weight");
  for (uint64_t i = 0; i < count; ++i) {
    if (of[i] < 0 || static_cast<uint64_t>(of[i]) >= tiles)
      throw PluginError(PRECIS_INVALID_ARGUMENT, "a map of the grid leaves its tiles");
  }
  return of;
}

}  // namespace

GridTiles grid_tiles(const sdk::Matrix& matrix, uint64_t tile_rows, uint64_t tile_columns) {
  return {tile_rows, tile_columns, (matrix.rows + tile_rows - 1) / tile_rows,
          (matrix.columns + tile_columns - 1) / tile_columns};
}

void plan_grid(sdk::PlanWriter& plan, const sdk::Matrix& matrix, const GridTiles& tiles,
               bool zeros) {
  const std::vector<int64_t> shape{static_cast<int64_t>(tiles.down),
                                   static_cast<int64_t>(tiles.across)};
  plan.add_numbers("scales", sdk::kFloat32, shape);
  plan.add_numbers("row_tiles", sdk::kInt32, {static_cast<int64_t>(matrix.rows)});
  plan.add_numbers("column_tiles", sdk::kInt32, {static_cast<int64_t>(matrix.columns)});
  if (zeros) plan.add_numbers("zeros", sdk::kInt32, shape);
}

OwnGrid::OwnGrid(const sdk::Parts& grid)
    : scales(sdk::data<float>(*grid.at(kScales))),
      row_tiles(sdk::data<int32_t>(*grid.at(kRowTiles))),
      column_tiles(sdk::data<int32_t>(*grid.at(kColumnTiles))),
      zeros(grid.size() > kZeros ? sdk::data<int32_t>(*grid[kZeros]) : nullptr) {}

void OwnGrid::fill_maps(const sdk::Matrix& matrix, const GridTiles& tiles,
                        const int32_t* column_of) const {
  for (uint64_t i = 0; i < matrix.rows; ++i) row_tiles[i] = static_cast<int32_t>(i / tiles.rows);
  for (uint64_t i = 0; i < matrix.columns; ++i)
    column_tiles[i] = column_of == nullptr ? static_cast<int32_t>(i / tiles.columns) : column_of[i];
}

ForeignGrid::ForeignGrid(const sdk::Matrix& matrix, const sdk::ConstParts& grid) : matrix_(matrix) {
  const bool complete =
      grid.size() >= kZeros && grid[kScales]->view.ndim == 2 &&
      sdk::same(grid[kScales]->view.dtype, sdk::kFloat32) &&
      sdk::same(grid[kRowTiles]->view.dtype, sdk::kInt32) &&
      sdk::same(grid[kColumnTiles]->view.dtype, sdk::kInt32) &&
      (grid.size() == kZeros || (sdk::same(grid[kZeros]->view.dtype, sdk::kInt32) &&
                                 grid[kZeros]->nbytes == grid[kScales]->nbytes));
  if (!complete)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the grid's tensors are not those of it");
  down_ = static_cast<uint64_t>(grid[kScales]->view.shape[0]);
  across_ = static_cast<uint64_t>(grid[kScales]->view.shape[1]);
  scales_ = sdk::data<const float>(*grid[kScales]);
  row_tiles_ = checked_map(*grid[kRowTiles], matrix.rows, down_);
  column_tiles_ = checked_map(*grid[kColumnTiles], matrix.columns, across_);
  if (grid.size() > kZeros) zeros_ = sdk::data<const int32_t>(*grid[kZeros]);
}

const int32_t* ForeignGrid::column_order(uint64_t groups) const {
  if (std::is_sorted(column_tiles_, column_tiles_ + matrix_.columns)) return nullptr;
  if (across_ != groups)
    unsupported("its columns lie in " + std::to_string(across_) +
                " groups by the order of activation, the config has " + std::to_string(groups));
  return column_tiles_;
}

ForeignGrid::Cover ForeignGrid::cover_of(const GridTiles& tiles, const int32_t* column_of) const {
  return {touched(row_tiles_, matrix_.rows, tiles.down, [&](uint64_t i) { return i / tiles.rows; }),
          touched(column_tiles_, matrix_.columns, tiles.across, [&](uint64_t i) {
            return column_of == nullptr ? i / tiles.columns : static_cast<uint64_t>(column_of[i]);
          })};
}

// Which of the two it is, columns out of order or groups of another size.
void ForeignGrid::refuse_columns(const GridTiles& tiles) const {
  if (!std::is_sorted(column_tiles_, column_tiles_ + matrix_.columns))
    unsupported("its columns are grouped by the order of activation (desc_act), not by place");
  uint64_t size = 1;
  while (size < matrix_.columns && column_tiles_[size] == column_tiles_[0]) ++size;
  unsupported("its scales are for " + std::to_string(size) + " columns each, the config's for " +
              std::to_string(tiles.columns));
}

void ForeignGrid::take_over(const GridTiles& tiles, const int32_t* column_of, int bits,
                            float* scales, int32_t* zeros) const {
  const Cover cover = cover_of(tiles, column_of);
  const int32_t levels = (1 << bits) - 1, middle = 1 << (bits - 1);
  for (uint64_t i = 0; i < tiles.down; ++i) {
    for (uint64_t j = 0; j < tiles.across; ++j) {
      if (cover.rows[i].empty() || cover.columns[j].empty()) {
        // No weight lies there: any scale does, as long as it is one.
        scales[i * tiles.across + j] = 1;
        if (zeros != nullptr) zeros[i * tiles.across + j] = middle;
        continue;
      }
      const uint64_t first = index(cover.rows[i].front(), cover.columns[j].front());
      for (const int32_t row : cover.rows[i]) {
        for (const int32_t column : cover.columns[j]) {
          const uint64_t other = index(row, column);
          if (scales_[other] == scales_[first] &&
              (zeros_ == nullptr || zeros_[other] == zeros_[first]))
            continue;
          if (cover.columns[j].size() > 1) refuse_columns(tiles);
          unsupported("its rows have scales of their own, the config's " +
                      std::to_string(tiles.rows) + " rows share one");
        }
      }
      const int32_t zero = zeros_ == nullptr ? middle : zeros_[first];
      scales[i * tiles.across + j] = scales_[first];
      if (zeros != nullptr) {
        if (zero < 0 || zero > levels)
          unsupported("its zero point " + std::to_string(zero) + " is no code of " +
                      std::to_string(bits) + " bits");
        zeros[i * tiles.across + j] = zero;
      } else if (zero > middle || zero < 1 || (zero & (zero - 1)) != 0) {
        // Narrower symmetric codes have theirs at a lower power of two.
        unsupported("it has the zero point " + std::to_string(zero) + " in row " +
                    std::to_string(i * tiles.rows) +
                    ", and the config's codes are symmetric about " + std::to_string(middle) +
                    ": have zero points (sym or symmetric false)");
      }
    }
  }
}

float ForeignGrid::largest_scale(const Cover& cover, uint64_t i, uint64_t j, bool& differ) const {
  float largest = 0, mantissa = 0;
  for (const int32_t row : cover.rows[i]) {
    for (const int32_t column : cover.columns[j]) {
      const float scale = scales_[index(row, column)];
      if (!(scale > 0) || !std::isfinite(scale))
        unsupported("a scale is " + number(scale) + ", which has no power of two");
      int exponent = 0;
      const float found = std::frexp(scale, &exponent);
      if (mantissa != 0 && found != mantissa)
        unsupported("the scales " + number(largest) + " and " + number(scale) +
                    " of values that share one by the config are not powers of two apart");
      mantissa = found;
      differ |= largest != 0 && scale != largest;
      largest = std::max(largest, scale);
    }
  }
  return largest == 0 ? 1.0f : largest;
}

// The scale times the power of two that is the smallest not below `least`: small values keep most
// bits then.
float ForeignGrid::fitting(float scale, float least) {
  if (!(least > 0) || !std::isfinite(least)) return scale;
  while (scale / 2 >= least) scale /= 2;
  while (scale < least) scale *= 2;
  return scale;
}

float largest_in(const precis_tensor& weight, const sdk::Matrix& matrix, uint64_t row,
                 uint64_t rows, uint64_t column, uint64_t columns) {
  float largest = 0;
  kernels::with_type(weight_type(weight.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = sdk::data<const typename Type::Stored>(weight);
    for (uint64_t i = row; i < std::min(row + rows, matrix.rows); ++i) {
      for (uint64_t j = column; j < std::min(column + columns, matrix.columns); ++j)
        largest = std::max(largest, std::abs(Type::load(values, i * matrix.columns + j)));
    }
  });
  return largest;
}

void require_scales_in(precis_dtype dtype, const float* scales, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    float stored = scales[i];
    if (sdk::same(dtype, sdk::kFloat16))
      stored = kernels::half_to_float(kernels::float_to_half(stored));
    else if (sdk::same(dtype, sdk::kBFloat16))
      stored = kernels::bfloat16_to_float(kernels::float_to_bfloat16(stored));
    else if (sdk::same(dtype, sdk::kFloat8E8M0FNU))
      stored = stored > 0 && std::ldexp(1.0f, std::ilogb(stored)) == stored ? stored : 0.0f;
    if (stored != scales[i])
      unsupported("its scale " + number(scales[i]) + " is no " +
                  (sdk::same(dtype, sdk::kFloat8E8M0FNU) ? std::string("power of two")
                                                         : std::string(sdk::torch_name(dtype))));
  }
}

GridRoom::GridRoom(const precis_call& call, const GridTiles& tiles)
    : scales(static_cast<float*>(call.workspace)),
      zeros(reinterpret_cast<int32_t*>(scales + tiles.count())) {
  if (call.workspace_size < grid_workspace(tiles))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
}

}  // namespace precis::plugins
