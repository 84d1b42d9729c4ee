#include "plugins/fp_quant/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<fp_quant::FpQuantQuantizer>(
      describe("fp_quant", "fp_quant", PRECIS_PLUGIN_VERSION, "safetensors",
               PRECIS_METHOD_SERIALIZABLE),
      fp_quant::options, fp_quant::read_config)};
  return list;
}

PRECIS_PLUGIN()
