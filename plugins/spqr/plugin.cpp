#include "plugins/device.h"
#include "plugins/spqr/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<spqr::SpqrQuantizer>>(
      plugins::on_devices<spqr::SpqrQuantizer>(
          describe("spqr", "spqr", PRECIS_PLUGIN_VERSION, "safetensors",
                   PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_NEEDS_CALIBRATION)),
      spqr::options, spqr::read_config)};
  return list;
}

PRECIS_PLUGIN()
