#include "plugins/gptq/config.h"

#include <regex>

namespace precis::gptq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

[[noreturn]] void refuse(const char* key, const Json& value, const std::string& rule,
                         precis_status status = PRECIS_INVALID_ARGUMENT) {
  throw PluginError(status,
                    "'" + std::string(key) + "' is " + value.dump() + ", it must be " + rule);
}

// A value that Python compares with numbers.
double number(const char* key, const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number()) refuse(key, value, "a number", PRECIS_INVALID_TYPE);
  return value.get<double>();
}

Json lower(const char* key, const Json& value) {
  if (!value.is_string()) refuse(key, value, "a text");
  std::string text = value.get<std::string>();
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

void check_numbers(const Json& values, bool planar) {
  const Json& bits = values.at("bits");
  const double width = bits.is_number() ? bits.get<double>() : 0;
  const bool common = width == 2 || width == 3 || width == 4 || width == 8;
  if (!common && !(planar && (width == 5 || width == 6 || width == 7)))
    refuse("bits", bits, "2, 3, 4 or 8 (5 to 7 with checkpoint_format gptq_p)");
  const double group = number("group_size", values.at("group_size"));
  if (group != -1 && group <= 0) refuse("group_size", values.at("group_size"), "-1 or positive");
  const double damp = number("damp_percent", values.at("damp_percent"));
  if (damp <= 0 || damp >= 1) refuse("damp_percent", values.at("damp_percent"), "between 0 and 1");
}

void check_dataset(const Json& dataset) {
  if (dataset.is_null() || dataset.is_array()) return;
  const std::string name = dataset.is_string() ? dataset.get<std::string>() : std::string();
  if (name != "wikitext2" && name != "c4" && name != "c4-new")
    refuse("dataset", dataset, "a list of texts, wikitext2, c4 or c4-new");
}

// The options of transformers 4, which chose among kernels of AutoGPTQ.
void read_exllama(Json& values) {
  const Json disable = values["disable_exllama"];
  Json& use = values["use_exllama"];
  if (!disable.is_null() && !use.is_null())
    refuse("disable_exllama", disable, "absent where use_exllama is given");
  if (use.is_null()) use = disable.is_null() || !sdk::truthy(disable);
  Json& kernel = values["exllama_config"];
  if (kernel.is_null()) kernel = {{"version", 1}};
  if (!kernel.is_object() || !kernel.contains("version"))
    refuse("exllama_config", kernel, "an object with 'version'");
  if (kernel["version"] != 1 && kernel["version"] != 2)
    refuse("exllama_config", kernel, "of version 1 or 2");
}

// GPTQModel's "dynamic": a pattern that begins with "-:" keeps the modules it matches.
sdk::ModuleList kept_patterns(const Json& dynamic) {
  sdk::ModuleList patterns;
  if (!dynamic.is_object()) return patterns;
  for (const auto& [pattern, overrides] : dynamic.items()) {
    if (pattern.rfind("-:", 0) == 0) patterns.push_back(pattern.substr(2));
  }
  return patterns;
}

bool matches_start(std::string_view module, const sdk::ModuleList& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    try {
      return std::regex_search(module.begin(), module.end(), std::regex(pattern),
                               std::regex_constants::match_continuous);
    } catch (const std::regex_error& error) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'dynamic': '" + pattern + "' is not a regular expression");
    }
  });
}

std::string pattern_of(std::string_view module) {
  std::string pattern;
  for (const char c : module) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

const std::vector<sdk::Option>& common_options() {
  static const std::vector<sdk::Option> list{
      {"bits", OptionType::any, true, nullptr, "bits a weight: 2, 3, 4 or 8", {}},
      {"tokenizer", OptionType::any, true, nullptr, "of the calibration", {}},
      {"dataset", OptionType::any, true, nullptr, "of the calibration", {}},
      {"group_size", OptionType::any, false, 128, "columns with one scale; -1: a whole row", {}},
      {"damp_percent", OptionType::any, false, 0.1, "of the calibration", {}},
      {"desc_act", OptionType::any, true, false, "columns in order of their activation", {}},
      {"sym", OptionType::any, true, true, "zero point in the middle", {}},
      {"true_sequential", OptionType::any, true, true, "of the calibration", {}},
      {"model_seqlen", OptionType::any, true, nullptr, "of the calibration", {}},
      {"block_name_to_quantize", OptionType::any, true, nullptr, "the blocks' path", {}},
      {"module_name_preceding_first_block", OptionType::any, true, nullptr, "of the library", {}},
      {"batch_size", OptionType::any, true, 1, "of the calibration", {}},
      {"pad_token_id", OptionType::any, true, nullptr, "of the calibration", {}},
      {"max_input_length", OptionType::any, true, nullptr, "of a kernel", {}},
      {"cache_block_outputs", OptionType::any, true, true, "of the calibration", {}},
      {"modules_in_block_to_quantize", OptionType::any, true, nullptr, "lists of names", {}}};
  return list;
}

const std::vector<sdk::Option>& options_of_5() {
  static const std::vector<sdk::Option> list{
      {"act_group_aware", OptionType::any, true, true, "of the calibration", {}},
      {"format", OptionType::any, false, "gptq", "gptq, gptq_v2 or gptq_p", {}},
      {"meta", OptionType::any, true, nullptr, "who made it", {}},
      {"backend", OptionType::any, true, nullptr, "kernels of the library", {}}};
  return list;
}

const std::vector<sdk::Option>& options_of_4() {
  static const std::vector<sdk::Option> list{
      {"use_cuda_fp16", OptionType::any, true, false, "kernels of the library", {}},
      {"use_exllama", OptionType::any, true, nullptr, "kernels of the library", {}},
      {"exllama_config", OptionType::any, true, nullptr, "kernels of the library", {}},
      {"disable_exllama", OptionType::any, true, nullptr, "kernels of the library", {}}};
  return list;
}

// Keys of the quantizers, which transformers reads over.
const std::vector<std::string>& foreign_keys() {
  static const std::vector<std::string> keys{"quant_method",
                                             "checkpoint_format",
                                             "dynamic",
                                             "lm_head",
                                             "static_groups",
                                             "pack_dtype",
                                             "rotation",
                                             "is_marlin_format",
                                             "model_name_or_path",
                                             "model_file_base_name",
                                             "method",
                                             "use_cuda_fp16",
                                             "use_exllama",
                                             "exllama_config",
                                             "disable_exllama",
                                             "act_group_aware",
                                             "format",
                                             "meta",
                                             "backend"};
  return keys;
}

sdk::OptionTable table(const std::vector<sdk::Option>& own) {
  std::vector<sdk::Option> list = common_options();
  list.insert(list.end(), own.begin(), own.end());
  return {"gptq", std::move(list)};
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable all = table(options_of_5());
  return all;
}

Config read_config(const precis_config& request) {
  static const sdk::OptionTable of_4 = table(options_of_4());
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  const Json object = sdk::parse_config(request);
  if (!object.contains("bits")) throw PluginError(PRECIS_INVALID_TYPE, "'bits' is missing");
  Json values = (four ? of_4 : options("")).read(object, foreign_keys(), sdk::lenient(request));
  Json format = four ? Json("gptq") : lower("format", values["format"]);
  const Json named = object.value("checkpoint_format", Json());
  if (!named.is_null() && (!four || named.is_string())) format = lower("checkpoint_format", named);
  Config config;
  config.format_name = format.get<std::string>();
  const bool planar = config.format_name == "gptq_p";
  check_numbers(values, planar && !sdk::as_python(request));
  check_dataset(values["dataset"]);
  if (four) {
    read_exllama(values);
    values.erase("disable_exllama");
  } else {
    if (sdk::truthy(values["desc_act"]) && sdk::truthy(values["act_group_aware"]))
      values["act_group_aware"] = false;
    Json& backend = values["backend"];
    if (backend.is_string()) backend = lower("backend", backend);
    if (backend.is_null()) backend = "auto";
    values["format"] = values["checkpoint_format"] = format;
  }
  config.format = {static_cast<int>(values["bits"].get<double>()), planar,
                   config.format_name != "gptq_v2" && !planar};
  config.group_size = static_cast<int64_t>(number("group_size", values["group_size"]));
  config.symmetric = sdk::truthy(values["sym"]);
  config.columns_in_order_of_activation = sdk::truthy(values["desc_act"]);
  config.damp_percent = number("damp_percent", values["damp_percent"]);
  config.groups_in_order_of_activation = !four && sdk::truthy(values["act_group_aware"]);
  config.static_groups = sdk::truthy(object.value("static_groups", Json(false)));
  const Json dynamic = object.value("dynamic", Json());
  config.skip = {"dynamic", kept_patterns(dynamic), matches_start, pattern_of};
  values["quant_method"] = "gptq";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::gptq
