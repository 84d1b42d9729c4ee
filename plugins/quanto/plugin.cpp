#include "plugins/device.h"
#include "plugins/quanto/device.h"
#include "plugins/quanto/quantizer.h"

namespace {

precis_method describe_quanto() {
  precis_method abi = precis::sdk::describe(
      "quanto", "quanto", PRECIS_PLUGIN_VERSION, "safetensors",
      PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE, precis::sdk::Products::linear);
  precis::plugins::add_devices(precis::quanto::device_methods(), abi);
  return abi;
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      {describe_quanto(),
       [](std::string_view library) { return quanto::options(library).schema(); },
       [](const precis_config& config) { return quanto::read_config(config).normalized.dump(); },
       [](const precis_config& config) -> std::unique_ptr<Quantizer> {
         return std::make_unique<quanto::QuantoQuantizer>(quanto::read_config(config));
       }}};
  return list;
}

PRECIS_PLUGIN()
