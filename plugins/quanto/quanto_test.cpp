#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

namespace {

std::vector<ProductCase> products() {
  std::vector<ProductCase> cases;
  for (const char* weights : {"int8", "int4", "int2", "float8", "float8_e5m2"})
    cases.push_back({std::string("quanto:weights=") + weights,
                     {{1, 7}, {3, 50}, {33, 320}, {100, 1312}, {33, 384}, {6, 4480}, {70, 384}}});
  return cases;
}

// torch 2.13's _weight_int8pack_mm, which quanto takes for int8 with bfloat16, adds ragged rows up
// in bfloat16.
double sums_roundoff(const json& options, DType activation) {
  return activation == DType::bf16 && options.at("weights") == "qint8" ? 0x1p-9 : 0x1p-24;
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "quanto",
      .golden = {{.folder = "quanto",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "quanto"}, {"weights", options.at("weights")}};
                      },
                  .sums_roundoff = sums_roundoff}},
      .skip_lists = {{"quanto", {{"quant_method", "quanto"}}, "modules_to_not_convert"}},
      .products = products(),
      .least_configs = 80};
  return method;
}

}  // namespace precis
