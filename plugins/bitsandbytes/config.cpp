#include "plugins/bitsandbytes/config.h"

namespace precis::bitsandbytes {

using sdk::Json;
using sdk::Option;
using sdk::OptionType;
using sdk::PluginError;

namespace {

const std::vector<std::string>& storage_dtypes() {
  static const std::vector<std::string> names{"float16", "float32", "int8",
                                              "uint8",   "float64", "bfloat16"};
  return names;
}

// A dtype option by name; null gives `fallback`. "torch.NAME" is no name to Python.
std::string read_dtype(const Json& values, const std::string& key, const std::string& fallback,
                       const std::vector<std::string>& names, bool python) {
  const Json& value = values.at(key);
  if (value.is_null()) return fallback;
  if (!value.is_string()) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + key + "' is " + value.dump() + ", it must be a dtype");
  }
  const std::string text = value.get<std::string>();
  const bool prefixed = text.rfind("torch.", 0) == 0;
  if ((!prefixed || python) && !names.empty() &&
      std::find(names.begin(), names.end(), text) == names.end()) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + key + "' is \"" + text +
                                                   "\", it must be one of float16, "
                                                   "float32, int8, uint8, float64, bfloat16");
  }
  const std::string dtype = prefixed && python ? "" : sdk::torch_dtype(text);
  if (dtype.empty())
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + key + "': torch has no dtype \"" + text + "\"");
  return dtype;
}

}  // namespace

const sdk::OptionTable& options() {
  static const sdk::OptionTable table("bitsandbytes",
                                      {
                                          {"load_in_4bit",
                                           OptionType::boolean,
                                           false,
                                           false,
                                           "quantize to 4 bits (NF4 or FP4)",
                                           {}},
                                          {"load_in_8bit",
                                           OptionType::boolean,
                                           false,
                                           false,
                                           "quantize to 8 bits (LLM.int8())",
                                           {}},
                                          {"llm_int8_threshold",
                                           OptionType::number,
                                           false,
                                           6.0,
                                           "activations beyond it are multiplied in float",
                                           {}},
                                          {"llm_int8_skip_modules",
                                           OptionType::strings,
                                           true,
                                           nullptr,
                                           "modules left as they are, for both widths",
                                           {}},
                                          {"llm_int8_enable_fp32_cpu_offload",
                                           OptionType::boolean,
                                           false,
                                           false,
                                           "keep offloaded modules in float32",
                                           {}},
                                          {"llm_int8_has_fp16_weight",
                                           OptionType::boolean,
                                           false,
                                           false,
                                           "keep float16 weights beside the 8-bit ones",
                                           {}},
                                          {"bnb_4bit_compute_dtype",
                                           OptionType::dtype,
                                           true,
                                           nullptr,
                                           "dtype of the products; null is float32",
                                           {}},
                                          {"bnb_4bit_quant_type",
                                           OptionType::string,
                                           false,
                                           "fp4",
                                           "the 4-bit code: fp4 or nf4",
                                           {}},
                                          {"bnb_4bit_use_double_quant",
                                           OptionType::boolean,
                                           false,
                                           false,
                                           "quantize the block maxima too",
                                           {}},
                                          {"bnb_4bit_quant_storage",
                                           OptionType::dtype,
                                           true,
                                           nullptr,
                                           "dtype of the packed tensor; null is uint8",
                                           {}},
                                          {"bnb_4bit_blocksize",
                                           OptionType::integer,
                                           false,
                                           64,
                                           "elements a block; precis' own, the libraries use 64",
                                           {}},
                                      });
  return table;
}

Config read_config(const precis_config& request, bool four_bit) {
  const Json object = sdk::parse_config(request);
  const bool lenient = sdk::lenient(request);
  Json values = options().read(object, {"quant_method"}, lenient);
  Config config;
  config.library = sdk::view(request.library);
  config.library_version = sdk::view(request.library_version);
  if (sdk::truthy(values["load_in_4bit"]) && sdk::truthy(values["load_in_8bit"])) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "load_in_4bit and load_in_8bit are both true");
  }
  config.compute_dtype =
      read_dtype(values, "bnb_4bit_compute_dtype", "float32", {}, sdk::as_python(request));
  config.quant_storage = read_dtype(values, "bnb_4bit_quant_storage", "uint8", storage_dtypes(),
                                    sdk::as_python(request));
  for (const Option& option : options().options()) {
    if (option.type == OptionType::dtype) continue;
    const bool whole = option.type == OptionType::number && values[option.key].is_number();
    if (whole && !sdk::as_python(request)) continue;
    sdk::check_option(option, values[option.key]);
  }
  config.load_in_4bit = values["load_in_4bit"].get<bool>();
  config.load_in_8bit = values["load_in_8bit"].get<bool>();
  config.quant_type = values["bnb_4bit_quant_type"].get<std::string>();
  config.double_quant = values["bnb_4bit_use_double_quant"].get<bool>();
  if (values["llm_int8_skip_modules"].is_array()) {
    for (const Json& name : values["llm_int8_skip_modules"]) {
      if (name.is_string()) config.skip_modules.push_back(name.get<std::string>());
    }
  }
  const auto blocksize = values["bnb_4bit_blocksize"].get<int64_t>();
  config.blocksize = static_cast<uint64_t>(blocksize);
  if (blocksize < 32 || blocksize > 4096 || (blocksize & (blocksize - 1)) != 0) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'bnb_4bit_blocksize' is " + std::to_string(blocksize) +
                          ", it must be 32, 64, 128, 256, 512, 1024, 2048 or 4096");
  }
  if (values["llm_int8_threshold"].is_number())
    config.int8_threshold = values["llm_int8_threshold"].get<float>();
  if (!lenient) {
    if (config.quant_type != "fp4" && config.quant_type != "nf4") {
      throw PluginError(PRECIS_INVALID_ARGUMENT, "'bnb_4bit_quant_type' is \"" + config.quant_type +
                                                     "\", it must be fp4 or nf4");
    }
    if ((four_bit && config.load_in_8bit) || (!four_bit && config.load_in_4bit)) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "the method's name and its load flags contradict each other");
    }
  }
  config.normalized = Json{{"quant_method", "bitsandbytes"},
                           {"_load_in_4bit", config.load_in_4bit},
                           {"_load_in_8bit", config.load_in_8bit},
                           {"load_in_4bit", config.load_in_4bit},
                           {"load_in_8bit", config.load_in_8bit},
                           {"bnb_4bit_compute_dtype", config.compute_dtype},
                           {"bnb_4bit_quant_storage", config.quant_storage}};
  for (const char* key :
       {"llm_int8_threshold", "llm_int8_skip_modules", "llm_int8_enable_fp32_cpu_offload",
        "llm_int8_has_fp16_weight", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant"}) {
    config.normalized[key] = values[key];
  }
  if (object.contains("bnb_4bit_blocksize")) config.normalized["bnb_4bit_blocksize"] = blocksize;
  return config;
}

}  // namespace precis::bitsandbytes
