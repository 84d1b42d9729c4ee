#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json config = options;
  config["quant_method"] = "auto-round";
  config.erase("shape");
  config.erase("weight_dtype");
  return config;
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1], bits = options["bits"];
  const int64_t groups = columns / options["group_size"].get<int64_t>();
  const std::string packing = options["packing_format"];
  if (packing == "auto_round:auto_awq")
    return std::vector<PartSpec>{{"qweight", DType::i32, {columns, rows / 8}, 0, ""},
                                 {"qzeros", DType::i32, {groups, rows / 8}, 0, ""},
                                 {"scales", DType::f16, {groups, rows}, 0, ""}};
  std::vector<PartSpec> parts{{"qweight", DType::i32, {columns * bits / 32, rows}, 0, ""},
                              {"qzeros", DType::i32, {groups, rows * bits / 32}, 0, ""},
                              {"scales", DType::f16, {groups, rows}, 0, ""}};
  if (packing == "auto_round:gptqmodel") parts.push_back({"g_idx", DType::i32, {columns}, 0, ""});
  return parts;
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "auto_round",
      .golden = {{.folder = "auto_round", .config = config_of, .read_only = parts_of}},
      .reads_products = true,
      .least_configs = 40};
  return method;
}

}  // namespace precis
