#include "plugins/device.h"
#include "plugins/torchao/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<torchao::TorchAoQuantizer>>(
          plugins::on_devices<torchao::TorchAoQuantizer>(
              describe("torchao", "torchao", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE, Products::linear)),
          torchao::options, torchao::read_config)};
  return list;
}

PRECIS_PLUGIN()
