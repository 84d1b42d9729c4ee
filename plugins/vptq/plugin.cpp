#include "plugins/device.h"
#include "plugins/vptq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<vptq::VptqQuantizer>>(
      plugins::on_devices<vptq::VptqQuantizer>(describe("vptq", "vptq", PRECIS_PLUGIN_VERSION,
                                                        "safetensors", PRECIS_METHOD_SERIALIZABLE,
                                                        Products::linear, Calibrated::yes)),
      vptq::options, vptq::read_config)};
  return list;
}

PRECIS_PLUGIN()
