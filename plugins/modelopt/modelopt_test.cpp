#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  return {{"quant_method", "modelopt"}, {"quant_algo", options.at("quant_algo")}};
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const std::string algorithm = options.at("quant_algo");
  if (algorithm == "NVFP4")
    return std::vector<PartSpec>{{"weight", DType::u8, {rows, columns / 2}, 0, ""},
                                 {"weight_scale", DType::f8_e4m3fn, {rows, columns / 16}, 0, ""},
                                 {"weight_scale_2", DType::f32, {}, 0, ""}};
  std::vector<int64_t> scales;
  if (algorithm != "FP8") scales = {rows};
  const DType codes = algorithm == "W8A16" ? DType::i8 : DType::f8_e4m3fn;
  return std::vector<PartSpec>{{"weight", codes, {rows, columns}, 0, ""},
                               {"weight_scale", DType::f32, scales, 0, ""}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "modelopt",
      .golden = {{.folder = "modelopt", .config = config_of, .read_only = parts_of}},
      .reads_products = true,
      .least_configs = 25};
  return method;
}

}  // namespace precis
