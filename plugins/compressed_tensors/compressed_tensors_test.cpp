#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json config{{"quant_method", "compressed-tensors"}};
  if (options.contains("version")) config["version"] = options["version"];
  if (options.contains("sparsity")) config["sparsity_config"] = {{"format", options["sparsity"]}};
  if (!options.contains("weights")) return config;
  json group{{"targets", {"Linear"}}, {"weights", options["weights"]}};
  if (options.contains("input_activations"))
    group["input_activations"] = options["input_activations"];
  config["config_groups"]["group_0"] = group;
  return config;
}

// What version 0.9 wrote; the shapes that no rule tells are those of the file.
std::optional<std::vector<PartSpec>> parts_of_old_versions(const json& options,
                                                           const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  std::vector<PartSpec> parts;
  const auto add = [&](const char* name, DType dtype, std::vector<int64_t> shape) {
    parts.push_back({name, dtype, std::move(shape), 0, ""});
  };
  const json weights = options.value("weights", json());
  if (options.contains("sparsity")) {
    const bool floating = weights.is_object() && weights["type"] == "float";
    const DType quantized = floating ? DType::f8_e4m3fn : DType::i8;
    add("compressed", weights.is_null() ? param.dtype : quantized, {rows * columns / 2});
    add("bitmask", DType::u8, {rows, (columns + 7) / 8});
    add("shape", DType::i64, {2});
    if (options["sparsity"] == "sparse-bitmask") add("row_offsets", DType::i64, {rows});
    if (!weights.is_null()) add("weight_scale", param.dtype, {rows, 1});
    return parts;
  }
  const int64_t each = 32 / weights["num_bits"].get<int64_t>();
  const int64_t groups = weights["strategy"] == "group" ? columns / 32 : 1;
  add("weight_packed", DType::i32, {rows, (columns + each - 1) / each});
  add("weight_scale", param.dtype, {rows, groups});
  add("weight_shape", DType::i64, {2});
  if (!weights["symmetric"].get<bool>()) add("weight_zero_point", DType::i8, {rows, groups});
  if (weights.contains("actorder")) add("weight_g_idx", DType::i32, {columns});
  return parts;
}

const json& all_linears() {
  static const json config =
      config_of({{"weights", {{"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}}}});
  return config;
}

std::string spec(const json& weights) {
  return config_of({{"weights", weights}}).dump();
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> groups{
      {5, 32}, {33, 320}, {100, 1312}, {6, 4480}, {70, 384}};
  const std::vector<std::pair<int64_t, int64_t>> wide_groups{
      {5, 128}, {33, 384}, {100, 1280}, {6, 4608}, {70, 512}};
  const auto integers = [](int bits, bool symmetric, const char* strategy, int group_size = 32) {
    json args{{"num_bits", bits}, {"symmetric", symmetric}, {"strategy", strategy}};
    if (std::string(strategy) == "group") args["group_size"] = group_size;
    return spec(args);
  };
  return {{integers(4, true, "group"), groups},
          {integers(4, false, "group"), groups},
          {integers(3, false, "channel"), any},
          {integers(8, true, "group"), groups},
          {integers(8, false, "group"), groups},
          {integers(4, false, "group", 64), wide_groups},
          {integers(4, false, "group", 128), wide_groups},
          {integers(8, true, "group", 128), wide_groups},
          {integers(8, false, "group", 64), wide_groups},
          {integers(8, true, "tensor"), any},
          {"w4a16", wide_groups},
          {"w8a8", any, Sums::dynamic_int8},
          {"fp8-dynamic", any, Sums::dynamic_float8},
          {"fp8-block", any, Sums::dynamic_float8},
          {"nvfp4a16", groups},
          {"mxfp4a16", groups},
          {"mxfp6a16", groups},
          {"mxfp8a16", groups}};
}

Sums sums_of(const json& options) {
  const json inputs = options.value("input_activations", json());
  if (!inputs.is_object() || inputs.value("dynamic", json(false)) != true) return Sums::floats;
  return inputs.value("type", "int") == "float" ? Sums::dynamic_float8 : Sums::dynamic_int8;
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "compressed_tensors",
      .golden = {{.folder = "ct", .config = config_of, .sums = sums_of},
                 {.folder = "ct_legacy",
                  .config = config_of,
                  .read_only = parts_of_old_versions,
                  .without_product =
                      [](const json& options) { return options.contains("sparsity"); }}},
      .skip_lists = {{"compressed-tensors", all_linears(), "ignore"}},
      .products = products(),
      .least_configs = 60};
  return method;
}

}  // namespace precis
