#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  return {{"quant_method", "modelopt"}, {"quant_algo", options.at("quant_algo")}};
}

// In the order of ModelOptQuantizer's parts.
std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const std::string algorithm = options.at("quant_algo");
  std::vector<PartSpec> parts;
  const auto add = [&](const char* name, DType dtype, std::vector<int64_t> shape) {
    parts.push_back({name, dtype, std::move(shape), 0, ""});
  };
  const bool integers = algorithm == "W8A8_SQ_PER_CHANNEL";
  add("weight", integers ? DType::i8 : DType::u8, {integers ? rows : rows / 2, columns});
  if (integers) add("weight_scale", DType::f32, {rows});
  if (!integers) add("weight_scale", DType::f32, {rows, columns / 128});
  if (algorithm == "W4A8_AWQ") add("weight_scale_2", DType::f32, {});
  add("pre_quant_scale", DType::f32, {columns});
  add("input_scale", DType::f32, {});
  return parts;
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> groups{{5, 32}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> pairs{{2, 128}, {34, 384}, {100, 1280}};
  return {{"modelopt-fp8", any},      {"modelopt-fp8-rows", any}, {"modelopt-fp8-blocks", any},
          {"modelopt-mxfp8", groups}, {"modelopt-int8", any},     {"modelopt-int4", pairs},
          {"modelopt-nvfp4", groups}, {"modelopt-mxfp4", groups}, {"modelopt-nvfp4-fp8", groups}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "modelopt",
      .golden = {{.folder = "modelopt", .config = config_of},
                 {.folder = "pre_quant_scale", .config = config_of, .read_only = parts_of}},
      .products = products(),
      .least_configs = 25};
  return method;
}

}  // namespace precis
