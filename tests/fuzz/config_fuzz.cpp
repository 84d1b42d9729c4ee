// Configs: config strings, quantization_config dicts, pipelines' configs, TOML. Inputs: text; each
// reader gets it whole, and a list of two dicts is a checkpoint's and a user's to merge.
#include "registry/config/config_string.h"
#include "registry/config/dispatch.h"
#include "registry/config/merge.h"
#include "registry/config/pipeline_config.h"
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
  if (!config.is_discarded()) {
    const auto pipeline = precis::parse_pipeline_config(config, {});
    if (pipeline.ok()) (void)precis::component_config(*pipeline, "transformer");
    for (const char* library : {"diffusers", "transformers"}) {
      (void)precis::supports_quant_method(config, library);
      const bool pair = config.is_array() && config.size() == 2;
      const auto merged =
          precis::merge_configs(pair ? config[0] : config, pair ? config[1] : config, library);
      if (merged.ok()) require(merged->is_object(), "a merged config is an object");
    }
  }
  (void)precis::parse_toml(text, "fuzz.toml");
  return 0;
}
