#include "plugins/device.h"
#include "plugins/gguf/quantizer.h"

namespace {

precis_method describe_gguf() {
  return precis::plugins::on_devices<precis::gguf::GgufQuantizer>(precis::sdk::describe(
      "gguf", "gguf", PRECIS_PLUGIN_VERSION, "gguf",
      PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_COMPILEABLE | PRECIS_METHOD_USES_IMPORTANCE,
      precis::sdk::Products::linear));
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      {describe_gguf(), [](std::string_view) { return gguf::options().schema(); },
       [](const precis_config& config) { return gguf::read_config(config).normalized.dump(); },
       [](const precis_config& config) -> std::unique_ptr<Quantizer> {
         return std::make_unique<plugins::OnDevices<gguf::GgufQuantizer>>(
             gguf::read_config(config));
       }}};
  return list;
}

PRECIS_PLUGIN()
