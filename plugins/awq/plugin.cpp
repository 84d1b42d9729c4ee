#include "plugins/awq/quantizer.h"
#include "plugins/device.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<awq::AwqQuantizer>>(
      plugins::on_devices<awq::AwqQuantizer>(
          describe("awq", "awq", PRECIS_PLUGIN_VERSION, "safetensors", PRECIS_METHOD_SERIALIZABLE,
                   Products::linear, Calibrated::yes, Grids::yes)),
      awq::options, awq::read_config)};
  return list;
}

PRECIS_PLUGIN()
