#include "plugins/device.h"
#include "plugins/fp_quant/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<fp_quant::FpQuantQuantizer>>(
          plugins::on_devices<fp_quant::FpQuantQuantizer>(
              describe("fp_quant", "fp_quant", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          fp_quant::options, fp_quant::read_config)};
  return list;
}

PRECIS_PLUGIN()
