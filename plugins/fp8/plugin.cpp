#include "plugins/device.h"
#include "plugins/fp8/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  constexpr uint32_t kFlags = PRECIS_METHOD_SERIALIZABLE;
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<fp8::TileQuantizer>>(
          plugins::on_devices<fp8::TileQuantizer>(describe("fp8", "fp8", PRECIS_PLUGIN_VERSION,
                                                           "safetensors", kFlags, Products::linear,
                                                           Calibrated::no, Grids::yes)),
          fp8::tile_options, fp8::read_tile_config),
      make_method<plugins::WeightsOnDevices<fp8::RowQuantizer>>(
          plugins::on_devices<fp8::RowQuantizer>(
              describe("fbgemm_fp8", "fbgemm_fp8", PRECIS_PLUGIN_VERSION, "safetensors", kFlags,
                       Products::linear, Calibrated::no, Grids::yes)),
          fp8::row_options, fp8::read_row_config)};
  return list;
}

PRECIS_PLUGIN()
