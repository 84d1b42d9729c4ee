#include "plugins/device.h"
#include "plugins/sdnq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<sdnq::SdnqQuantizer>>(
      plugins::on_devices<sdnq::SdnqQuantizer>(describe("sdnq", "sdnq", PRECIS_PLUGIN_VERSION,
                                                        "safetensors", PRECIS_METHOD_SERIALIZABLE,
                                                        Products::linear)),
      sdnq::options, sdnq::read_config)};
  return list;
}

PRECIS_PLUGIN()
