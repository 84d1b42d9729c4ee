#include "plugins/device.h"
#include "plugins/eetq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<eetq::EetqQuantizer>>(
      plugins::on_devices<eetq::EetqQuantizer>(describe("eetq", "eetq", PRECIS_PLUGIN_VERSION,
                                                        "safetensors", PRECIS_METHOD_SERIALIZABLE,
                                                        Products::linear)),
      eetq::options, eetq::read_config)};
  return list;
}

PRECIS_PLUGIN()
