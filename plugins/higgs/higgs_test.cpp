#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json config = options;
  for (const char* key : {"shape", "weight_dtype", "template_id"}) config.erase(key);
  config["quant_method"] = "higgs";
  config["tune_metadata"] = {{"layer", {{"template_id", options["template_id"]}}}};
  return config;
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t bits = options["bits"], levels = int64_t{1} << bits;
  return std::vector<PartSpec>{
      {"weight", DType::i16, {param.shape[0] * bits / 16, param.shape[1]}, 0, ""},
      {"scales", param.dtype, {param.shape[0], param.shape[1] / 64}, 0, ""},
      {"tables2", DType::f16, {levels, levels, 2}, 0, ""}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "higgs",
      .golden = {{.folder = "higgs", .config = config_of, .read_only = parts_of}},
      .least_configs = 20};
  return method;
}

}  // namespace precis
