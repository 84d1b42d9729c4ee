#include "plugins/device.h"
#include "plugins/higgs/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<higgs::HiggsQuantizer>>(
          plugins::on_devices<higgs::HiggsQuantizer>(
              describe("higgs", "higgs", PRECIS_PLUGIN_VERSION, "safetensors",
                       PRECIS_METHOD_SERIALIZABLE, Products::linear)),
          higgs::options, higgs::read_config)};
  return list;
}

PRECIS_PLUGIN()
