#include "plugins/device.h"
#include "plugins/quark/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<quark::QuarkQuantizer>>(
          plugins::on_devices<quark::QuarkQuantizer>(
              describe("quark", "quark", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          quark::options, quark::read_config)};
  return list;
}

PRECIS_PLUGIN()
