#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

namespace {

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> tiles{{32, 64}, {96, 1280}};
  const std::vector<std::pair<int64_t, int64_t>> wide_tiles{{128, 256}, {256, 1280}, {64, 3072}};
  const Sums sums = Sums::dynamic_float8;
  return {{R"({"quant_method": "fp8", "weight_block_size": [32, 64]})", tiles, sums},
          {R"({"quant_method": "fp8", "weight_block_size": [32, 64], "scale_fmt": "ue8m0"})", tiles,
           sums},
          {R"({"quant_method": "fp8", "weight_block_size": [64, 128]})", wide_tiles, sums},
          {R"({"quant_method": "fp8", "weight_block_size": [64, 256]})", wide_tiles, sums},
          {R"({"quant_method": "fp8", "weight_block_size": null})", any, sums},
          {"fbgemm_fp8", any, sums}};
}

Sums rounded(const json&) {
  return Sums::dynamic_float8;
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "fp8",
      .golden = {{.folder = "fp8",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "fp8"},
                                    {"weight_block_size", options.at("block")},
                                    {"scale_fmt", options.value("scale_fmt", "float")}};
                      },
                  .sums = rounded},
                 {.folder = "fbgemm",
                  .config =
                      [](const json&) {
                        return json{{"quant_method", "fbgemm_fp8"}};
                      },
                  .sums = rounded}},
      .skip_lists =
          {{"fp8", {{"quant_method", "fp8"}}, "modules_to_not_convert", true, false},
           {"fbgemm_fp8", {{"quant_method", "fbgemm_fp8"}}, "modules_to_not_convert", true, false}},
      .products = products(),
      .least_configs = 90};
  return method;
}

}  // namespace precis
