#include "plugins/device.h"
#include "plugins/modelopt/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<modelopt::ModelOptQuantizer>>(
          plugins::on_devices<modelopt::ModelOptQuantizer>(
              describe("modelopt", "modelopt", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          modelopt::options, modelopt::read_config)};
  return list;
}

PRECIS_PLUGIN()
