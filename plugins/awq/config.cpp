#include "plugins/awq/config.h"

namespace precis::awq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

using Names = std::vector<std::string>;

Json lower(const char* key, const Json& value) {
  if (!value.is_string()) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + std::string(key) + "' is " + value.dump() + ", it must be a text");
  }
  std::string text = value.get<std::string>();
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

void expect_one_of(const char* key, const Json& value, const Names& allowed) {
  const std::string text = value.is_string() ? value.get<std::string>() : std::string();
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return;
  std::string list;
  for (const std::string& name : allowed) list += (list.empty() ? "" : ", ") + name;
  throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + value.dump() +
                                                 ", it must be one of " + list);
}

std::vector<sdk::Option> own_options() {
  return {{"bits", OptionType::any, true, 4, "bits a weight: 4", {}},
          {"group_size", OptionType::any, true, 128, "columns with one scale; -1: a row", {}},
          {"zero_point", OptionType::any, true, true, "a zero point for each group", {}},
          {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}}};
}

// AwqConfig derives from GPTQConfig there.
const sdk::OptionTable& options_of_5() {
  static const sdk::OptionTable table = [] {
    std::vector<sdk::Option> list = own_options();
    list.push_back(
        {"format", OptionType::any, true, "gemm", "layout: gemm, gemv, gemv_fast or llm-awq", {}});
    for (const sdk::Option& option :
         sdk::carried_options({{"backend", "auto"},
                               {"tokenizer", nullptr},
                               {"dataset", nullptr},
                               {"damp_percent", 0.1},
                               {"desc_act", false},
                               {"act_group_aware", true},
                               {"sym", true},
                               {"true_sequential", true},
                               {"meta", nullptr},
                               {"model_seqlen", nullptr},
                               {"block_name_to_quantize", nullptr},
                               {"module_name_preceding_first_block", nullptr},
                               {"batch_size", 1},
                               {"pad_token_id", nullptr},
                               {"max_input_length", nullptr},
                               {"cache_block_outputs", true},
                               {"modules_in_block_to_quantize", nullptr}}))
      list.push_back(option);
    return sdk::OptionTable("awq", std::move(list));
  }();
  return table;
}

const sdk::OptionTable& options_of_4() {
  static const sdk::OptionTable table = [] {
    std::vector<sdk::Option> list = own_options();
    list.push_back({"version", OptionType::any, true, "gemm", "layout: gemm or gemv", {}});
    for (const sdk::Option& option : sdk::carried_options({{"backend", "autoawq"},
                                                           {"do_fuse", nullptr},
                                                           {"fuse_max_seq_len", nullptr},
                                                           {"modules_to_fuse", nullptr},
                                                           {"exllama_config", nullptr}}))
      list.push_back(option);
    return sdk::OptionTable("awq", std::move(list));
  }();
  return table;
}

void read_as_5(const Json& object, Json& values) {
  if (const Json named = object.value("checkpoint_format", Json()); !named.is_null())
    values["format"] = lower("checkpoint_format", named);
  else if (const Json version = object.value("version", Json()); !version.is_null())
    values["format"] = lower("version", version);
  else if (values["format"].is_string())
    values["format"] = lower("format", values["format"]);
  Json& backend = values["backend"];
  if (backend.is_string()) backend = lower("backend", backend);
  if (backend == "llm-awq") {
    values["format"] = "llm-awq";
    backend = "auto";
  }
  if (backend == "autoawq") backend = "auto";
  expect_one_of("version", values["format"], {"gemm", "gemv", "gemv_fast", "llm-awq"});
  expect_one_of("backend", backend,
                {"auto", "auto_trainable", "machete", "marlin", "exllama_v2", "exllama_v1", "gemm",
                 "gemm_triton", "gemv", "gemv_fast", "torch_awq", "torch_fused_awq"});
  values["version"] = values["format"];
}

void read_as_4(Json& values) {
  values["version"] = lower("version", values["version"]);
  expect_one_of("version", values["version"], {"gemm", "gemv", "exllama", "ipex"});
  expect_one_of("backend", values["backend"], {"autoawq", "llm-awq"});
  if (values["do_fuse"].is_null()) values["do_fuse"] = sdk::truthy(values["modules_to_fuse"]);
  if (sdk::truthy(values["do_fuse"]) && values["fuse_max_seq_len"].is_null()) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'do_fuse' needs 'fuse_max_seq_len', the longest sequence");
  }
}

std::optional<kernels::AwqLayout> layout_of(const std::string& version) {
  if (version == "gemm" || version == "exllama" || version == "ipex")
    return kernels::AwqLayout::gemm;
  if (version == "gemv") return kernels::AwqLayout::gemv;
  if (version == "gemv_fast" || version == "llm-awq") return kernels::AwqLayout::gemv_fast;
  return std::nullopt;
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  return options_of_5();
}

Config read_config(const precis_config& request) {
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  Json object = sdk::parse_config(request);
  if (!sdk::as_python(request)) {  // AutoAWQ's quant_config.json
    if (object.contains("w_bit")) object["bits"] = object["w_bit"];
    if (object.contains("q_group_size")) object["group_size"] = object["q_group_size"];
  }
  const Names foreign{"quant_method",  "version", "checkpoint_format", "w_bit",
                      "q_group_size",  "do_fuse", "fuse_max_seq_len",  "modules_to_fuse",
                      "exllama_config"};
  Json values =
      (four ? options_of_4() : options_of_5()).read(object, foreign, sdk::lenient(request));
  four ? read_as_4(values) : read_as_5(object, values);
  Config config;
  config.version = values["version"].get<std::string>();
  config.layout = layout_of(config.version);
  config.readable = values["bits"] == 4 && sdk::truthy(values["zero_point"]);
  if (values["group_size"].is_number()) config.group_size = values["group_size"].get<int64_t>();
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]),
                 four ? sdk::kept_by_substring : sdk::kept_by_pattern};
  values["quant_method"] = "awq";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::awq
