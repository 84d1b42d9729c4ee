#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json config = options;
  config.erase("shape");
  config.erase("weight_dtype");
  config["quant_method"] = "fp_quant";
  return config;
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const int64_t rotated = options.at("hadamard_group_size");
  const PartSpec rotation{"forward_hadamard_matrix", param.dtype, {rotated, rotated}, 0, ""};
  const PartSpec global{"weight_global_scale", param.dtype, {1}, 0, ""};
  if (options.value("pseudoquantization", false))
    return std::vector<PartSpec>{
        {"dqweight", param.dtype, {rows, columns}, 0, ""}, rotation, global};
  const int64_t group = options.at("forward_dtype") == "nvfp4" ? 16 : 32;
  return std::vector<PartSpec>{{"qweight", DType::u8, {rows, columns / 2}, 0, ""},
                               rotation,
                               {"scales", DType::u8, {rows, columns / group}, 0, ""},
                               global};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "fp_quant",
      .golden = {{.folder = "fp_quant", .config = config_of, .read_only = parts_of}},
      .least_configs = 15};
  return method;
}

}  // namespace precis
