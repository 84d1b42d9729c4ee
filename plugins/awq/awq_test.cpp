#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "awq",
      .golden = {{.folder = "awq",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "awq"},
                                    {"bits", 4},
                                    {"group_size", options.at("group_size")},
                                    {"version", options.at("version")}};
                      }}},
      .least_configs = 110};
  return method;
}

}  // namespace precis
