// precis.grid/1: the scales of tiles and rows of float8.
#include "plugins/grid.h"

#include "plugins/fp8/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::fp8 {

using kernels::Fp8ScaleType;
using kernels::Fp8Tiles;
using plugins::GridTiles;
using sdk::PluginError;

namespace {

constexpr float kLargest = 448.0f;
constexpr uint8_t kExponentBias = 127;

const kernels::Fp8Kernels& kernel() {
  return kernels::fp8_kernels(kernels::current_isa());
}

GridTiles grid_of(const precis_param& param, const Fp8Tiles& tiles) {
  return plugins::grid_tiles(sdk::matrix(param), tiles.tile_rows, tiles.tile_columns);
}

void read_scales(const precis_param& param, const Fp8Tiles& tiles, const precis_tensor& scales,
                 const sdk::Parts& grid) {
  const plugins::OwnGrid own(grid);
  const GridTiles shape = grid_of(param, tiles);
  own.fill_maps(sdk::matrix(param), shape);
  kernel().read_scales(scale_type(scales.view.dtype), sdk::data<const void>(scales), shape.count(),
                       own.scales);
}

void write_with_scales(const precis_call& call, const precis_param& param,
                       const precis_tensor& weight, const Fp8Tiles& tiles,
                       const sdk::ConstParts& grid, const sdk::Parts& parts) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const GridTiles shape = grid_of(param, tiles);
  const plugins::ForeignGrid foreign(matrix, grid);
  const plugins::GridRoom room(call, shape);
  foreign.rescale(shape, kLargest, room.scales, [&](uint64_t i, uint64_t j) {
    return plugins::largest_in(weight, matrix, i * shape.rows, shape.rows, j * shape.columns,
                               shape.columns);
  });
  const precis_tensor& scales = *parts.at(kScales);
  plugins::require_scales_in(scales.view.dtype, room.scales, shape.count());
  const Fp8ScaleType type = scale_type(scales.view.dtype);
  if (type == Fp8ScaleType::e8m0) {
    auto* exponents = sdk::data<uint8_t>(scales);
    for (uint64_t i = 0; i < shape.count(); ++i)
      exponents[i] = static_cast<uint8_t>(std::ilogb(room.scales[i]) + kExponentBias);
  } else {
    std::copy_n(room.scales, shape.count(), sdk::data<float>(scales));
  }
  sdk::for_rows(call, matrix, 1, [&](sdk::RowRange rows) {
    kernel().quantize_on(plugins::weight_type(param.dtype), sdk::data<const void>(weight), tiles,
                         type, sdk::data<const void>(scales), rows.begin, rows.end,
                         sdk::data<uint8_t>(*parts.at(kCodes)));
  });
}

uint64_t workspace_for(const precis_param& param, const Fp8Tiles& tiles) {
  return (param.flags & PRECIS_PARAM_GRID) != 0 ? plugins::grid_workspace(grid_of(param, tiles))
                                                : 0;
}

}  // namespace

void TileQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  plugins::plan_grid(grid, sdk::matrix(param), grid_of(param, tiles(param)), false);
}

void TileQuantizer::read_grid(const precis_call&, const precis_param& param,
                              const sdk::ConstParts& parts, const sdk::Parts& grid) const {
  check_parts(param, parts);
  if (config_.normalized["activation_scheme"] == "static")
    throw PluginError(PRECIS_FAILED_PRECONDITION,
                      "its activations have measured scales, which would be lost");
  read_scales(param, tiles(param), *parts[kScales], grid);
}

void TileQuantizer::write_grid(const precis_call& call, const precis_param& param,
                               const precis_tensor& weight, const sdk::ConstParts& grid,
                               const sdk::Parts& parts) const {
  write_with_scales(call, param, weight, tiles(param), grid, parts);
}

uint64_t TileQuantizer::workspace(const precis_param& param) const {
  return std::max(workspace_for(param, tiles(param)), config_.tile_rows == 0 ? kWholeWorkspace : 0);
}

void RowQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  plugins::plan_grid(grid, sdk::matrix(param), grid_of(param, tiles(param)), false);
}

void RowQuantizer::read_grid(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, const sdk::Parts& grid) const {
  check_parts(param, parts);
  read_scales(param, tiles(param), *parts[kScales], grid);
}

void RowQuantizer::write_grid(const precis_call& call, const precis_param& param,
                              const precis_tensor& weight, const sdk::ConstParts& grid,
                              const sdk::Parts& parts) const {
  write_with_scales(call, param, weight, tiles(param), grid, parts);
}

uint64_t RowQuantizer::workspace(const precis_param& param) const {
  return workspace_for(param, tiles(param));
}

}  // namespace precis::fp8
