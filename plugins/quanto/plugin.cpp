#include "plugins/device.h"
#include "plugins/quanto/quantizer.h"

namespace {

precis_method describe_quanto() {
  return precis::plugins::on_devices<precis::quanto::QuantoQuantizer>(precis::sdk::describe(
      "quanto", "quanto", PRECIS_PLUGIN_VERSION, "safetensors",
      PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE, precis::sdk::Products::linear));
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      {describe_quanto(),
       [](std::string_view library) { return quanto::options(library).schema(); },
       [](const precis_config& config) { return quanto::read_config(config).normalized.dump(); },
       [](const precis_config& config) -> std::unique_ptr<Quantizer> {
         return std::make_unique<plugins::OnDevices<quanto::QuantoQuantizer>>(
             quanto::read_config(config));
       }}};
  return list;
}

PRECIS_PLUGIN()
