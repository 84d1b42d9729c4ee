// precis.grid/1: the scales and zero points of a scheme's tiles.
#include "plugins/grid.h"

#include "plugins/compressed_tensors/quantizer.h"

namespace precis::compressed_tensors {

using plugins::GridTiles;
using sdk::PluginError;

namespace {

constexpr float kLargestE4M3 = 448.0f;

// What the codes of a zero point of 0 are counted from.
int32_t middle_of(const QuantizationArgs& weights) {
  return 1 << (weights.bits - 1);
}

}  // namespace

GridTiles CompressedTensorsQuantizer::tiles_of(const precis_param& param) const {
  if (is_sparse(sdk::module_of(sdk::view(param.name))))
    throw PluginError(PRECIS_UNSUPPORTED, "weights behind a mask have no grid of their own");
  const QuantizationScheme& scheme = this->scheme(param);
  const Storage storage = storage_of(format_of(config_, scheme));
  if (storage != Storage::bytes && storage != Storage::packed)
    throw PluginError(PRECIS_UNSUPPORTED, "format " + format_of(config_, scheme) +
                                              " finds its scales itself: they are narrow numbers");
  const kernels::ScaleTiles tiles = stored_shape(config_, scheme, sdk::matrix(param)).tiles;
  return plugins::grid_tiles(sdk::matrix(param), tiles.rows, tiles.columns);
}

void CompressedTensorsQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  plugins::plan_grid(grid, sdk::matrix(param), tiles_of(param), !scheme(param).weights->symmetric);
}

void CompressedTensorsQuantizer::read_grid(const precis_call&, const precis_param& param,
                                           const sdk::ConstParts& parts,
                                           const sdk::Parts& grid) const {
  check_parts(param, parts);
  const QuantizationScheme& scheme = this->scheme(param);
  for (const auto* args : {&scheme.input_activations, &scheme.output_activations}) {
    if (*args && (*args)->dynamic == Dynamic::no)
      throw PluginError(PRECIS_FAILED_PRECONDITION,
                        "its activations have measured scales, which would be lost");
  }
  const kernels::ScaledWeight weight = stored(param, parts);
  const GridTiles tiles = tiles_of(param);
  const plugins::OwnGrid own(grid);
  own.fill_maps(sdk::matrix(param), tiles, weight.tile_of);
  plugins::scaled_kernel().read_tiles(weight, tiles.down, own.scales, own.zeros);
  if (own.zeros == nullptr) return;
  for (uint64_t i = 0; i < tiles.count(); ++i) own.zeros[i] += middle_of(*scheme.weights);
}

void CompressedTensorsQuantizer::write_grid(const precis_call& call, const precis_param& param,
                                            const precis_tensor& weight,
                                            const sdk::ConstParts& grid,
                                            const sdk::Parts& parts) const {
  const QuantizationArgs& weights = *scheme(param).weights;
  const GridTiles tiles = tiles_of(param);
  const plugins::ForeignGrid foreign(sdk::matrix(param), grid);
  const plugins::GridRoom room(call, tiles);
  int32_t* zeros = weights.symmetric ? nullptr : room.zeros;
  if (weights.floating) {
    const sdk::Matrix matrix = sdk::matrix(param);
    foreign.rescale(tiles, kLargestE4M3, room.scales, [&](uint64_t i, uint64_t j) {
      return plugins::largest_in(weight, matrix, i * tiles.rows, tiles.rows, j * tiles.columns,
                                 tiles.columns);
    });
  } else {
    foreign.take_over(tiles, nullptr, static_cast<int>(weights.bits), room.scales, zeros);
  }
  plugins::require_scales_in(param.dtype, room.scales, tiles.count());
  if (zeros != nullptr) {
    for (uint64_t i = 0; i < tiles.count(); ++i) zeros[i] -= middle_of(weights);
  }
  plugins::ScaledEncodingPlan plan = encoding(param, parts).value();
  plan.encoding.given_scales = room.scales;
  plan.encoding.given_zeros = zeros;
  encode_numbers(call, param, weight, parts, plan);
}

uint64_t CompressedTensorsQuantizer::workspace(const precis_param& param) const {
  if ((param.flags & PRECIS_PARAM_GRID) == 0) return 0;
  return plugins::grid_workspace(tiles_of(param));
}

}  // namespace precis::compressed_tensors
