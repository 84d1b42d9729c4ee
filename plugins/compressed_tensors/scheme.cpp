#include "plugins/compressed_tensors/scheme.h"

#include <precis/module_match.hpp>

#include "plugins/compressed_tensors/lax_values.h"

namespace precis::compressed_tensors {

using sdk::Json;
using sdk::PluginError;

namespace {

const std::vector<std::string>& strategy_names() {
  static const std::vector<std::string> names{"tensor", "channel",      "group",    "block",
                                              "token",  "tensor_group", "attn_head"};
  return names;
}

// The value of a key; null where it is absent.
Json at(const Json& object, const char* key) {
  return object.value(key, Json());
}

void refuse_unknown_keys(const std::string& path, const Json& object,
                         const std::vector<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    if (sdk::contains(known, key)) continue;
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + path + "' has a key '" + key + "' that compressed-tensors refuses");
  }
}

Json lowered(const Json& value) {
  return value.is_string() ? Json(lower(value.get<std::string>())) : value;
}

Strategy read_strategy(const std::string& path, const Json& args, const Rules& rules) {
  const Json value = lowered(at(args, "strategy"));
  const Json size = at(args, "group_size");
  if (value.is_null()) {
    if (size.is_null()) return Strategy::tensor;
    const int64_t group = read_integer(path + ".group_size", size);
    if (group > 0) return Strategy::group;
    if (group == -1) return Strategy::channel;
    refuse(path + ".group_size", size, "positive, or -1 for a scale a row");
  }
  std::vector<std::string> names = strategy_names();
  if (rules.of_2025) names.resize(5);
  const std::string name = read_choice(path + ".strategy", value, names);
  return static_cast<Strategy>(std::find(names.begin(), names.end(), name) - names.begin());
}

void read_group_size(const std::string& path, const Json& args, QuantizationArgs& read) {
  const Json size = at(args, "group_size");
  const bool grouped = read.strategy == Strategy::group || read.strategy == Strategy::tensor_group;
  if (!size.is_null()) {
    // Python compares it with -1 before it is read as a number.
    if (!size.is_number() && !size.is_boolean())
      throw PluginError(PRECIS_INVALID_TYPE,
                        "'" + path + ".group_size' is " + size.dump() + ", it must be a number");
    read.group_size = read_integer(path + ".group_size", size);
    if (read.group_size < -1) refuse(path + ".group_size", size, "positive or -1");
  }
  if (grouped && read.group_size <= 0)
    refuse(path + ".group_size", size, "positive for strategy group");
  if (!grouped && read.group_size > 0)
    refuse(path + ".strategy", at(args, "strategy"), "group where group_size is given");
}

// "128x128" or [128, 128].
void read_block(const std::string& path, const Json& args, const Rules& rules,
                QuantizationArgs& read) {
  Json value = at(args, "block_structure");
  if (!rules.of_2025 && value.is_null() != (read.strategy != Strategy::block))
    refuse(path + ".block_structure", value, "given for strategy block, and only there");
  if (value.is_null()) return;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const std::size_t cross = text.find('x');
    if (cross != std::string::npos)
      value = Json{Json::parse(text.substr(0, cross), nullptr, false),
                   Json::parse(text.substr(cross + 1), nullptr, false)};
  }
  const bool pair = value.is_array() && value.size() == 2 && value[0].is_number_integer() &&
                    value[1].is_number_integer() && value[0] > 0 && value[1] > 0;
  if (!pair) refuse(path + ".block_structure", value, "two positive numbers [rows, columns]");
  read.block_rows = value[0].get<int64_t>();
  read.block_columns = value[1].get<int64_t>();
}

Dynamic read_dynamic(const std::string& path, const Json& args, const Rules& rules,
                     Strategy strategy) {
  const Json value = lowered(args.value("dynamic", Json(false)));
  const std::string key = path + ".dynamic";
  Dynamic dynamic = Dynamic::no;
  if (value.is_string() && !rules.of_2025) {
    read_choice(key, value, {"local"});
    dynamic = Dynamic::local;
  } else if (read_truth(key, value)) {
    dynamic = Dynamic::yes;
  }
  if (strategy == Strategy::token && dynamic == Dynamic::no && !rules.of_2025)
    refuse(key, value, "true for strategy token");
  if (dynamic == Dynamic::no) return dynamic;
  const bool dynamic_strategy =
      strategy == Strategy::token || strategy == Strategy::tensor ||
      (!rules.of_2025 && (strategy == Strategy::tensor_group || strategy == Strategy::group));
  if (!dynamic_strategy) refuse(key, value, "false for this strategy");
  if (dynamic == Dynamic::local && strategy != Strategy::tensor_group)
    refuse(key, value, "true or false; local is for strategy tensor_group");
  return dynamic;
}

// What the library saves for it; null: columns keep their order.
Json read_order(const std::string& path, const Json& args, const Rules& rules) {
  const Json value = lowered(at(args, "actorder"));
  const std::string key = path + ".actorder";
  if (value.is_null() || value == false) return {};
  if (value == true) {
    if (rules.exactly && !rules.of_2025) refuse(key, value, "weight or null");
    return "group";
  }
  const std::string order = read_choice(key, value, {"weight", "group", "static", "dynamic"});
  const bool groups = order == "group" || order == "dynamic";
  if (groups && rules.exactly && !rules.of_2025)
    refuse(key, value, "weight or null: compressed-tensors has dropped it");
  return groups ? "group" : "weight";
}

std::string read_dtype(const std::string& path, const Json& value) {
  if (value.is_null()) return "";
  const std::string name = value.is_string() ? sdk::torch_dtype(value.get<std::string>()) : "";
  if (name.empty()) refuse(path, value, "the name of a torch dtype");
  return name;
}

void check_float_bits(const QuantizationArgs& args, const Rules& rules) {
  if (!args.floating || rules.of_2025 || args.bits == 4 || args.bits == 6 || args.bits == 8) return;
  throw PluginError(PRECIS_UNSUPPORTED,
                    "floating numbers have 4, 6 or 8 bits, not " + std::to_string(args.bits));
}

void check_activations(const std::string& path, const std::optional<QuantizationArgs>& args,
                       const Json& normalized, bool inputs, const Rules& rules) {
  if (!args) return;
  if (inputs && !rules.of_2025 &&
      (args->strategy == Strategy::channel || args->strategy == Strategy::block))
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'" + path + ".strategy' must not be channel or block for activations");
  if (!at(normalized, "actorder").is_null())
    refuse(path + ".actorder", normalized["actorder"], "null for activations");
}

}  // namespace

std::vector<std::string> read_texts(const std::string& path, const Json& value) {
  if (!value.is_array()) refuse(path, value, "a list of texts");
  std::vector<std::string> texts;
  for (const Json& item : value) texts.push_back(read_text(path, item));
  return texts;
}

QuantizationArgs read_args(const std::string& path, const Json& value, const Rules& rules,
                           Json& normalized) {
  if (!value.is_object()) refuse(path, value, "an object");
  if (!rules.of_2025)
    refuse_unknown_keys(
        path, value,
        {"num_bits", "type", "symmetric", "group_size", "strategy", "block_structure", "dynamic",
         "actorder", "scale_dtype", "zp_dtype", "observer", "observer_kwargs"});
  QuantizationArgs args;
  args.bits = read_integer(path + ".num_bits", value.value("num_bits", Json(8)));
  const std::string type =
      read_choice(path + ".type", lowered(value.value("type", Json("int"))), {"int", "float"});
  args.floating = type == "float";
  args.symmetric = read_truth(path + ".symmetric", value.value("symmetric", Json(true)));
  args.strategy = read_strategy(path, value, rules);
  read_group_size(path, value, args);
  read_block(path, value, rules, args);
  args.dynamic = read_dynamic(path, value, rules, args.strategy);
  const Json order = read_order(path, value, rules);
  args.reordered_groups = order == "group";
  if (!order.is_null() && rules.of_2025 && args.strategy != Strategy::group)
    refuse(path + ".actorder", order, "null without groups");
  Json observer = at(value, "observer");
  if (!observer.is_null()) observer = read_text(path + ".observer", observer);
  const Json observer_options = value.value("observer_kwargs", Json::object());
  if (!observer_options.is_object())
    refuse(path + ".observer_kwargs", observer_options, "an object");
  if (!rules.of_2025)
    args.scale_dtype = read_dtype(path + ".scale_dtype", at(value, "scale_dtype"));
  const std::string zero_dtype =
      rules.of_2025 ? "" : read_dtype(path + ".zp_dtype", at(value, "zp_dtype"));
  if (zero_dtype.empty()) check_float_bits(args, rules);

  const Json dynamic =
      args.dynamic == Dynamic::local ? Json("local") : Json(args.dynamic == Dynamic::yes);
  const Json size = at(value, "group_size");
  normalized = {{"num_bits", args.bits},
                {"type", type},
                {"symmetric", args.symmetric},
                {"group_size", size.is_null() ? Json() : Json(args.group_size)},
                {"strategy", strategy_names()[static_cast<std::size_t>(args.strategy)]},
                {"dynamic", dynamic}};
  const Json block = args.block_rows > 0 ? Json{args.block_rows, args.block_columns} : Json();
  if (rules.of_2025) {
    normalized["block_structure"] = at(value, "block_structure");
    normalized["actorder"] = order;
    const bool dynamic_now = args.dynamic != Dynamic::no;
    normalized["observer"] = dynamic_now ? Json() : observer.is_null() ? Json("minmax") : observer;
    normalized["observer_kwargs"] = observer_options;
    return args;
  }
  if (!block.is_null()) normalized["block_structure"] = block;
  if (!order.is_null()) normalized["actorder"] = order;
  if (!args.scale_dtype.empty()) normalized["scale_dtype"] = "torch." + args.scale_dtype;
  if (!zero_dtype.empty() && !args.symmetric) normalized["zp_dtype"] = "torch." + zero_dtype;
  if (!observer.is_null()) normalized["observer"] = observer;
  if (!observer_options.empty()) normalized["observer_kwargs"] = observer_options;
  return args;
}

QuantizationScheme read_scheme(const std::string& name, const Json& value, const Rules& rules,
                               Json& normalized) {
  const std::string path = "config_groups." + name;
  Json object = value;
  if (value.is_array()) {
    read_texts(path, value);
    object = preset_scheme(name, rules);
    if (object.is_null())
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'" + path + "' is a list of targets, and no preset is called '" + name +
                            "' (W4A16, W8A8, FP8_DYNAMIC, NVFP4A16, MXFP4A16 ...)");
    object["targets"] = value;
  }
  if (!object.is_object()) refuse(path, value, "an object, or a list of targets of a preset");
  if (!rules.of_2025)
    refuse_unknown_keys(
        path, object, {"targets", "weights", "input_activations", "output_activations", "format"});
  if (!object.contains("targets"))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + path + ".targets' is missing");
  QuantizationScheme scheme;
  scheme.targets = read_texts(path + ".targets", object["targets"]);
  normalized = {{"targets", scheme.targets}};
  const auto read = [&](const char* key, std::optional<QuantizationArgs>& args) {
    normalized[key] = nullptr;
    const Json given = at(object, key);
    if (!given.is_null()) args = read_args(path + "." + key, given, rules, normalized[key]);
  };
  read("weights", scheme.weights);
  read("input_activations", scheme.input_activations);
  read("output_activations", scheme.output_activations);
  check_activations(path + ".input_activations", scheme.input_activations,
                    normalized["input_activations"], true, rules);
  check_activations(path + ".output_activations", scheme.output_activations,
                    normalized["output_activations"], false, rules);
  if (rules.of_2025) return scheme;
  const Json format = at(object, "format");
  normalized["format"] = format;
  if (!format.is_null())
    scheme.format = read_choice(
        path + ".format", format,
        {"dense", "sparse-bitmask", "sparse-24-bitmask", "int-quantized", "float-quantized",
         "naive-quantized", "pack-quantized", "marlin-24", "nvfp4-pack-quantized",
         "mxfp4-pack-quantized", "mxfp6-pack-quantized", "mxfp8-quantized"});
  return scheme;
}

}  // namespace precis::compressed_tensors
