#include "plugins/sdnq/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make_method<sdnq::SdnqQuantizer>(
      describe("sdnq", "sdnq", PRECIS_PLUGIN_VERSION, "safetensors", PRECIS_METHOD_SERIALIZABLE),
      sdnq::options, sdnq::read_config)};
  return list;
}

PRECIS_PLUGIN()
