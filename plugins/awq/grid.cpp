// precis.grid/1: the scales and zero points of AWQ's groups.
#include "plugins/grid.h"

#include "plugins/awq/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::awq {

using plugins::GridTiles;

GridTiles AwqQuantizer::tiles_of(const precis_param& param) const {
  return plugins::grid_tiles(sdk::matrix(param), 1, shape_of(param).group_size);
}

void AwqQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  layout(param);
  plugins::plan_grid(grid, sdk::matrix(param), tiles_of(param), true);
}

void AwqQuantizer::read_grid(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, const sdk::Parts& grid) const {
  check_parts(param, parts);
  check_zeros(parts);
  const plugins::OwnGrid own(grid);
  own.fill_maps(sdk::matrix(param), tiles_of(param));
  kernels::awq_kernels(kernels::current_isa())
      .read_groups(*config_.layout, shape_of(param), sdk::data<const void>(*parts[kZeros]),
                   plugins::weight_type(parts[kScales]->view.dtype),
                   sdk::data<const void>(*parts[kScales]), own.scales, own.zeros);
}

void AwqQuantizer::write_grid(const precis_call& call, const precis_param& param,
                              const precis_tensor& weight, const sdk::ConstParts& grid,
                              const sdk::Parts& parts) const {
  const GridTiles tiles = tiles_of(param);
  const plugins::ForeignGrid foreign(sdk::matrix(param), grid);
  const plugins::GridRoom room(call, tiles);
  foreign.take_over(tiles, nullptr, 4, room.scales, room.zeros);
  plugins::require_scales_in(sdk::kFloat16, room.scales, tiles.count());
  sdk::for_rows(call, sdk::matrix(param), 8, [&](sdk::RowRange rows) {
    kernels::awq_kernels(kernels::current_isa())
        .quantize_on(plugins::weight_type(param.dtype), sdk::data<const void>(weight),
                     *config_.layout, shape_of(param), room.scales, room.zeros, rows.begin,
                     rows.end, sdk::data<void>(*parts[kCodes]), sdk::data<void>(*parts[kZeros]),
                     sdk::data<uint16_t>(*parts[kScales]));
  });
}

uint64_t AwqQuantizer::workspace(const precis_param& param) const {
  return (param.flags & PRECIS_PARAM_GRID) != 0 ? plugins::grid_workspace(tiles_of(param)) : 0;
}

}  // namespace precis::awq
