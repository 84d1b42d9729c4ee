#include "plugins/aqlm/quantizer.h"
#include "plugins/device.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<aqlm::AqlmQuantizer>>(
      plugins::on_devices<aqlm::AqlmQuantizer>(describe(
          "aqlm", "aqlm", PRECIS_PLUGIN_VERSION, "safetensors",
          PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE, Products::linear, Calibrated::yes)),
      aqlm::options, aqlm::read_config)};
  return list;
}

PRECIS_PLUGIN()
