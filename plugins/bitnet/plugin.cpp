#include "plugins/bitnet/quantizer.h"
#include "plugins/device.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<bitnet::BitNetQuantizer>>(
          plugins::on_devices<bitnet::BitNetQuantizer>(
              describe("bitnet", "bitnet", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          bitnet::options, bitnet::read_config)};
  return list;
}

PRECIS_PLUGIN()
