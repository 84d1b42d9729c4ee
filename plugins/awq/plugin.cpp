#include "plugins/awq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<awq::AwqQuantizer>(
      describe("awq", "awq", PRECIS_PLUGIN_VERSION, "safetensors", PRECIS_METHOD_SERIALIZABLE,
               Products::linear, Calibrated::yes, Grids::yes),
      awq::options, awq::read_config)};
  return list;
}

PRECIS_PLUGIN()
