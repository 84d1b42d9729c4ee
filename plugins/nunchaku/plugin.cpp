#include "plugins/device.h"
#include "plugins/nunchaku/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<nunchaku::NunchakuQuantizer>>(
          plugins::on_devices<nunchaku::NunchakuQuantizer>(
              describe("nunchaku_lite", "nunchaku_lite", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          nunchaku::options, nunchaku::read_config)};
  return list;
}

PRECIS_PLUGIN()
