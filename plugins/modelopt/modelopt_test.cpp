#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  return {{"quant_method", "modelopt"}, {"quant_algo", options.at("quant_algo")}};
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
  static const MethodUnderTest method{.plugin = "modelopt",
                                      .golden = {{.folder = "modelopt", .config = config_of}},
                                      .products = products(),
                                      .least_configs = 25};
  return method;
}

}  // namespace precis
