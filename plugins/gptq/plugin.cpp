#include "plugins/device.h"
#include "plugins/gptq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<plugins::WeightsOnDevices<gptq::GptqQuantizer>>(
      plugins::on_devices<gptq::GptqQuantizer>(
          describe("gptq", "gptq", PRECIS_PLUGIN_VERSION, "safetensors", PRECIS_METHOD_SERIALIZABLE,
                   Products::linear, Calibrated::yes, Grids::yes)),
      gptq::options, gptq::read_config)};
  return list;
}

PRECIS_PLUGIN()
