// precis.grid/1: the scales and zero points of GPTQ's groups.
#include "plugins/grid.h"

#include "plugins/gptq/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::gptq {

using plugins::GridTiles;

GridTiles GptqQuantizer::tiles_of(const precis_param& param) const {
  return plugins::grid_tiles(sdk::matrix(param), 1, shape_of(param).group_size);
}

void GptqQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  layout(param);
  plugins::plan_grid(grid, sdk::matrix(param), tiles_of(param), true);
}

void GptqQuantizer::read_grid(const precis_call&, const precis_param& param,
                              const sdk::ConstParts& parts, const sdk::Parts& grid) const {
  check_parts(param, parts);
  const kernels::GptqShape shape = shape_of(param);
  const plugins::OwnGrid own(grid);
  own.fill_maps(sdk::matrix(param), tiles_of(param), checked_groups(param, parts));
  kernels::gptq_kernels(kernels::current_isa())
      .read_groups(config_.format, shape, sdk::data<const uint32_t>(*parts[kZeros]),
                   plugins::weight_type(parts[kScales]->view.dtype),
                   sdk::data<const void>(*parts[kScales]), own.scales, own.zeros);
}

void GptqQuantizer::write_grid(const precis_call& call, const precis_param& param,
                               const precis_tensor& weight, const sdk::ConstParts& grid,
                               const sdk::Parts& parts) const {
  const kernels::GptqShape shape = shape_of(param);
  const GridTiles tiles = tiles_of(param);
  const plugins::ForeignGrid foreign(sdk::matrix(param), grid);
  const int32_t* group_of = foreign.column_order(shape.groups());
  if (group_of != nullptr && !config_.columns_in_order_of_activation)
    throw sdk::PluginError(
        PRECIS_UNSUPPORTED,
        "its columns are grouped by the order of activation: have desc_act true");
  const plugins::GridRoom room(call, tiles);
  // The codes of a symmetric config are symmetric about a zero point that is stored all the same.
  foreign.take_over(tiles, group_of, config_.format.bits, room.scales,
                    config_.symmetric ? nullptr : room.zeros);
  if (config_.symmetric)
    std::fill_n(room.zeros, tiles.count(), int32_t{1} << (config_.format.bits - 1));
  plugins::require_scales_in(sdk::kFloat16, room.scales, tiles.count());
  auto* groups = sdk::data<int32_t>(*parts.at(kGroups));
  for (uint64_t i = 0; i < shape.columns; ++i)
    groups[i] = group_of == nullptr ? static_cast<int32_t>(i / shape.group_size) : group_of[i];
  sdk::for_rows(call, sdk::matrix(param), 32, [&](sdk::RowRange rows) {
    kernels::gptq_kernels(kernels::current_isa())
        .quantize_on(plugins::weight_type(param.dtype), sdk::data<const void>(weight),
                     config_.format, {room.scales, room.zeros, group_of}, shape, rows.begin,
                     rows.end, sdk::data<uint32_t>(*parts[kCodes]),
                     sdk::data<uint32_t>(*parts[kZeros]), sdk::data<uint16_t>(*parts[kScales]));
  });
}

uint64_t GptqQuantizer::workspace(const precis_param& param) const {
  return (param.flags & PRECIS_PARAM_GRID) != 0 ? plugins::grid_workspace(tiles_of(param)) : 0;
}

}  // namespace precis::gptq
