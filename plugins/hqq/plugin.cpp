#include "plugins/device.h"
#include "plugins/hqq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<hqq::HqqQuantizer>>(
      plugins::on_devices<hqq::HqqQuantizer>(
          describe("hqq", "hqq", PRECIS_PLUGIN_VERSION, "safetensors",
                   PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE, Products::linear)),
      hqq::options, hqq::read_config)};
  return list;
}

PRECIS_PLUGIN()
