#include "plugins/gguf/config.h"

#include "kernels/cpu/gguf/gguf.h"

namespace precis::gguf {
namespace {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

struct Mix {
  const char* name;
  const char* most;
  const char* finer;  // of value and down projections
};
// In the spirit of llama-quantize's mixes, which raise these projections in part of the layers;
// here in all.
constexpr Mix kMixes[] = {{"q2_k_s", "q2_k", "q2_k"}, {"q3_k_s", "q3_k", "q3_k"},
                          {"q3_k_m", "q3_k", "q4_k"}, {"q3_k_l", "q3_k", "q5_k"},
                          {"q4_k_s", "q4_k", "q4_k"}, {"q4_k_m", "q4_k", "q6_k"},
                          {"q5_k_s", "q5_k", "q5_k"}, {"q5_k_m", "q5_k", "q6_k"}};

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

bool is_value_or_down_projection(std::string_view name) {
  for (const char* tail : {".to_v.weight", ".add_v_proj.weight", ".v_proj.weight", ".v.weight",
                           ".value.weight", ".net.2.weight", ".down_proj.weight", ".fc2.weight",
                           ".wo.weight", ".out_projection.weight", ".proj_out.weight"}) {
    if (ends_with(name, tail)) return true;
  }
  return false;
}

}  // namespace

const sdk::OptionTable& options() {
  static const sdk::OptionTable table(
      "gguf",
      {
          {"type",
           OptionType::string,
           true,
           nullptr,
           "block type or mix to write: q4_k, q8_0, q4_k_m; precis' own",
           {}},
          {"compute_dtype",
           OptionType::any,
           true,
           nullptr,
           "dtype of the products; null is float32",
           {}},
          {"modules_to_not_convert",
           OptionType::strings,
           true,
           nullptr,
           "modules left as they are",
           {}},
          {"pre_quantized", OptionType::boolean, false, true, "always true in the library", {}},
      });
  return table;
}

std::string block_type(const std::string& type, std::string_view param_name) {
  for (const Mix& mix : kMixes) {
    if (type == mix.name) return is_value_or_down_projection(param_name) ? mix.finer : mix.most;
  }
  return kernels::gguf_codec(kernels::Isa::baseline, type) != nullptr ? type : "";
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  const std::string_view library = sdk::view(request.library);
  if (sdk::as_python(request) && library == "diffusers") {
    // The library hands the whole dict to a constructor that knows compute_dtype alone.
    for (const auto& [key, value] : object.items()) {
      if (key != "compute_dtype") {
        throw PluginError(PRECIS_INVALID_TYPE,
                          "GGUFQuantizationConfig takes no '" + key +
                              "'; pass compute_dtype alone, or use precis' own reading");
      }
    }
  }
  Config config;
  if (sdk::as_python(request) && library == "transformers") {
    // GgufConfig of transformers 5.23 checks nothing.
    config.normalized = Json{{"quant_method", "gguf"},
                             {"dequantize", object.value("dequantize", Json(false))},
                             {"gguf_file", object.value("gguf_file", Json())}};
    return config;
  }
  const Json values =
      options().read(object, {"quant_method", "dequantize", "gguf_file"}, sdk::lenient(request));
  if (values["type"].is_string()) {
    config.type = values["type"].get<std::string>();
    for (char& c : config.type) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (block_type(config.type, "").empty()) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'type' is \"" + config.type +
                            "\", which is no GGUF block type; `precis backends gguf` lists them");
    }
  } else if (!values["type"].is_null()) {
    sdk::check_option(options().options().front(), values["type"]);
  }
  std::string compute_dtype = "float32";
  if (values["compute_dtype"].is_string())
    compute_dtype = sdk::torch_dtype(values["compute_dtype"].get<std::string>());
  if (compute_dtype.empty())
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'compute_dtype' is no torch dtype");
  config.skip_by_leaf =
      library == "diffusers" && sdk::view(request.library_version).substr(0, 3) == "0.3";
  if (values["modules_to_not_convert"].is_array()) {
    for (const Json& name : values["modules_to_not_convert"]) {
      if (name.is_string()) config.skip_modules.push_back(name.get<std::string>());
    }
  }
  config.normalized = Json{{"quant_method", "gguf"},
                           {"compute_dtype", compute_dtype},
                           {"pre_quantized", true},
                           {"modules_to_not_convert", values["modules_to_not_convert"]}};
  if (!config.type.empty()) config.normalized["type"] = config.type;
  return config;
}

}  // namespace precis::gguf
