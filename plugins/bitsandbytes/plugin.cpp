#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/device.h"

namespace {

using precis::bitsandbytes::read_config;

template <typename Quantizer>
precis::sdk::Method make(const char* id, bool four_bit) {
  constexpr uint32_t kFlags = PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE;
  const precis_method abi = precis::plugins::on_devices<Quantizer>(
      precis::sdk::describe(id, "bitsandbytes", PRECIS_PLUGIN_VERSION, "safetensors", kFlags,
                            precis::sdk::Products::linear));
  return {abi, [](std::string_view) { return precis::bitsandbytes::options().schema(); },
          [four_bit](const precis_config& config) {
            return read_config(config, four_bit).normalized.dump();
          },
          [four_bit](const precis_config& config) -> std::unique_ptr<precis::sdk::Quantizer> {
            return std::make_unique<precis::plugins::OnDevices<Quantizer>>(
                read_config(config, four_bit));
          }};
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make<bitsandbytes::FourBitQuantizer>("bitsandbytes_4bit", true),
      make<bitsandbytes::EightBitQuantizer>("bitsandbytes_8bit", false)};
  return list;
}

PRECIS_PLUGIN()
