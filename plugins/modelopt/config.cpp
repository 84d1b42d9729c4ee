#include "plugins/modelopt/config.h"

#include <limits>

namespace precis::modelopt {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

Algorithm algorithm_of(const std::string& name) {
  if (name == "FP8") return Algorithm::fp8;
  if (name == "FP8_PER_CHANNEL_PER_TOKEN") return Algorithm::fp8_rows;
  if (name == "fp8_pb_wo" || name == "fp8_pb_real" || name == "FP8_PB_WO")
    return Algorithm::fp8_blocks;
  if (name == "W8A16" || name == "W8A8_SQ_PER_CHANNEL") return Algorithm::int8_rows;
  if (name == "NVFP4" || name == "NVFP4_AWQ" || name == "W4A16_NVFP4") return Algorithm::nvfp4;
  if (name == "W4A8_NVFP4_FP8") return Algorithm::nvfp4_fp8;
  if (name == "W4A16_AWQ") return Algorithm::int4;
  if (name == "W4A8_AWQ") return Algorithm::int4_fp8;
  if (name == "MXFP8") return Algorithm::mxfp8;
  if (name == "mxfp4" || name == "MXFP4" || name == "W4A8_MXFP4_FP8") return Algorithm::mxfp4;
  return Algorithm::unread;
}

const Json* bits_of(const std::string& type) {
  static const Json bits{{"FP8", {4, 3}}, {"INT8", 8}, {"INT4", 4}, {"NF4", 4}, {"NVFP4", {2, 1}}};
  const auto found = bits.find(type);
  return found == bits.end() ? nullptr : &*found;
}

// "FP8_INT8": of weights and activations; what diffusers does not know is FP8, or no activation.
std::pair<std::string, std::string> quant_types(const Json& value) {
  if (!value.is_string())
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'quant_type' is " + value.dump() + ", it must be a text");
  const std::string text = value.get<std::string>();
  const std::size_t first = text.find('_');
  std::string weight = text.substr(0, first), activation;
  if (first != std::string::npos) activation = text.substr(first + 1);
  if (activation.find('_') != std::string::npos) return {"FP8", ""};
  if (bits_of(weight) == nullptr) weight = "FP8";
  if (bits_of(activation) == nullptr) activation.clear();
  return {weight, activation};
}

// The quantizers of ModelOpt that a type of diffusers' stands for (get_config_from_quant_type).
Json quantizer_config(const Json& values, const std::string& weight, std::string activation) {
  const Json off{{"enable", false}};
  const bool weights_alone = sdk::truthy(values["weight_only"]);
  const Json bits = *bits_of(weight);
  Json config{{"*weight_quantizer", {{"fake_quant", false}, {"num_bits", bits}}},
              {"*output_quantizer", off}};
  for (const char* name :
       {"*q_bmm_quantizer", "*k_bmm_quantizer", "*v_bmm_quantizer", "*softmax_quantizer"})
    config[name] = weights_alone ? off : Json{{"num_bits", bits}};
  Json& input = config["*input_quantizer"] = weights_alone ? off : Json::object();
  activation.erase(std::remove(activation.begin(), activation.end(), 'A'), activation.end());
  if (!weights_alone && bits_of(activation) != nullptr) input["num_bits"] = *bits_of(activation);
  for (const char* kind : {"nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d", "nn.LeakyReLU"})
    config[kind] = {{"*", off}};
  for (const char* name :
       {"*lm_head*", "*proj_out.*", "*block_sparse_moe.gate*", "*router*", "*mlp.gate.*",
        "*mlp.shared_expert_gate.*", "*output_layer*", "output.*", "default"})
    config[name] = off;
  const Json &channel = values["channel_quantize"], &block = values["block_quantize"];
  if (channel.is_null()) return config;
  Json& weights = config["*weight_quantizer"];
  if (block.is_null()) {
    weights["axis"] = input["axis"] = channel;
    input["type"] = "dynamic";
  } else {
    const std::string axis = channel.is_string() ? channel.get<std::string>() : channel.dump();
    weights["block_sizes"] = {{axis, block}};
    input["block_sizes"] = {{axis, block}, {"type", "dynamic"}};
  }
  return config;
}

Json read_as_diffusers(const Json& object, bool lenient) {
  Json values =
      options("diffusers").read(object, {"quant_method", "load_in_8bit", "load_in_4bit"}, lenient);
  const auto [weight, activation] = quant_types(values["quant_type"]);
  values["quant_type"] = weight + (activation.empty() ? "" : "_" + activation);
  values["calib_cfg"] = {{"method", values["algorithm"]}};
  values.erase("algorithm");
  values["forward_loop"] = nullptr;
  if (!sdk::truthy(values["modelopt_config"]))
    values["modelopt_config"] = {{"quant_cfg", quantizer_config(values, weight, activation)},
                                 {"algorithm", values["calib_cfg"]}};
  values["quant_method"] = "modelopt";
  return values;
}

Scheme read_scheme(const Json& object) {
  Scheme scheme{Algorithm::unread, {}, 0};
  if (!object.is_object()) return scheme;
  const Json name = object.value("quant_algo", Json()), size = object.value("group_size", Json());
  if (name.is_string()) scheme.name = name.get<std::string>();
  scheme.algorithm = algorithm_of(scheme.name);
  if (size.is_number_unsigned() && size <= std::numeric_limits<int32_t>::max())
    scheme.group_size = size.get<uint64_t>();
  return scheme;
}

void read_exported(const Json& object, Config& config) {
  config.scheme = read_scheme(object);
  config.ignored = sdk::module_list(object.value("ignore", Json()));
  const Json layers = object.value("quantized_layers", Json::object());
  if (config.scheme.name != "MIXED_PRECISION" || !layers.is_object()) return;
  for (const auto& [module, scheme] : layers.items())
    config.modules.emplace_back(module, read_scheme(scheme));
}

}  // namespace

const sdk::OptionTable& options(std::string_view library) {
  static const sdk::OptionTable of_diffusers(
      "modelopt",
      {{"quant_type", OptionType::any, true, nullptr, "of diffusers: FP8, NVFP4, INT8_FP8 ...", {}},
       {"modules_to_not_convert", OptionType::any, true, nullptr, "modules left as they are", {}},
       {"weight_only", OptionType::any, true, true, "activations stay as they are", {}},
       {"channel_quantize", OptionType::any, true, nullptr, "axis of scales", {}},
       {"block_quantize", OptionType::any, true, nullptr, "numbers with one scale", {}},
       {"scale_channel_quantize", OptionType::any, true, nullptr, "axis of scales of scales", {}},
       {"scale_block_quantize", OptionType::any, true, nullptr, "scales with one scale", {}},
       {"algorithm", OptionType::any, true, "max", "of the calibration", {}},
       {"modelopt_config", OptionType::any, true, nullptr, "ModelOpt's own config", {}},
       {"disable_conv_quantization", OptionType::any, true, false, "Linear layers alone", {}}});
  static const sdk::OptionTable all = [] {
    std::vector<sdk::Option> list{
        {"quant_algo", OptionType::any, true, nullptr, "of an export: FP8, W4A16_NVFP4 ...", {}},
        {"group_size", OptionType::any, true, nullptr, "numbers with one scale, of quant_algo", {}},
        {"quantized_layers", OptionType::any, true, nullptr, "quant_algo of each module", {}},
        {"ignore", OptionType::any, true, nullptr, "shell patterns of modules left as are", {}}};
    list.insert(list.end(), of_diffusers.options().begin(), of_diffusers.options().end());
    return sdk::OptionTable("modelopt", std::move(list));
  }();
  return library == "diffusers" ? of_diffusers : all;
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  Config config;
  config.of_diffusers = !object.contains("quant_algo");
  if (config.of_diffusers) {
    config.normalized = read_as_diffusers(object, sdk::lenient(request));
    return config;
  }
  if (!sdk::lenient(request))
    options("").read(object, {"quant_method", "producer", "config_groups", "kv_cache_scheme"},
                     false);
  config.normalized = object;
  read_exported(object, config);
  return config;
}

}  // namespace precis::modelopt
