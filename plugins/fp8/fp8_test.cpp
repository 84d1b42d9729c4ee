#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "fp8",
      .golden = {{.folder = "fp8",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "fp8"},
                                    {"weight_block_size", options.at("block")},
                                    {"scale_fmt", options.value("scale_fmt", "float")}};
                      }},
                 {.folder = "fbgemm",
                  .config =
                      [](const json&) {
                        return json{{"quant_method", "fbgemm_fp8"}};
                      }}},
      .least_configs = 90};
  return method;
}

}  // namespace precis
