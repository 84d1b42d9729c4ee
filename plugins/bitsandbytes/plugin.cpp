#include "plugins/bitsandbytes/device.h"
#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/device.h"

namespace {

using precis::bitsandbytes::Config;
using precis::bitsandbytes::read_config;

precis::sdk::Method make(const char* id, bool four_bit) {
  constexpr uint32_t kFlags = PRECIS_METHOD_SERIALIZABLE | PRECIS_METHOD_TRAINABLE;
  precis_method abi = precis::sdk::describe(id, "bitsandbytes", PRECIS_PLUGIN_VERSION,
                                            "safetensors", kFlags, precis::sdk::Products::linear);
  precis::plugins::add_devices(precis::bitsandbytes::device_methods(), abi);
  return {abi, [](std::string_view) { return precis::bitsandbytes::options().schema(); },
          [four_bit](const precis_config& config) {
            return read_config(config, four_bit).normalized.dump();
          },
          [four_bit](const precis_config& config) -> std::unique_ptr<precis::sdk::Quantizer> {
            Config parsed = read_config(config, four_bit);
            if (four_bit)
              return std::make_unique<precis::bitsandbytes::FourBitQuantizer>(std::move(parsed));
            return std::make_unique<precis::bitsandbytes::EightBitQuantizer>(std::move(parsed));
          }};
}

}  // namespace

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{make("bitsandbytes_4bit", true),
                                        make("bitsandbytes_8bit", false)};
  return list;
}

PRECIS_PLUGIN()
