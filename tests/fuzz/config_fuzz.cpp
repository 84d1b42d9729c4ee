// Configs: config strings, quantization_config dicts, TOML. Inputs: text; each reader gets it
// whole.
#include "registry/config/config_string.h"
#include "registry/config/dispatch.h"
#include "registry/config/toml.h"
#include "tests/fuzz/fuzz.h"

using precis::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(precis::fuzz::text_of(data, size));
  const auto parsed = precis::parse_config_string(text);
  if (parsed.ok()) require(!parsed->head.empty(), "a config string names a method");
  (void)precis::dispatch_string(text, {}, {});
  const auto config = nlohmann::json::parse(text, nullptr, false);
  if (!config.is_discarded()) {
    for (const bool lenient : {false, true}) {
      const auto key = precis::dispatch_key(config, {"", lenient});
      if (key.ok()) require(config.is_object(), "only an object is a config");
    }
  }
  (void)precis::parse_toml(text, "fuzz.toml");
  return 0;
}
