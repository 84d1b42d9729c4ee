#include "plugins/auto_round/quantizer.h"
#include "plugins/device.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<auto_round::AutoRoundQuantizer>>(
          plugins::on_devices<auto_round::AutoRoundQuantizer>(
              describe("auto-round", "auto-round", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_NEEDS_CALIBRATION,
                       Products::linear, Calibrated::no, Grids::yes)),
          auto_round::options, auto_round::read_config)};
  return list;
}

PRECIS_PLUGIN()
