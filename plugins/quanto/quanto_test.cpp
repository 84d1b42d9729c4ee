#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "quanto",
      .golden = {{.folder = "quanto",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "quanto"}, {"weights", options.at("weights")}};
                      }}},
      .skip_lists = {{"quanto", {{"quant_method", "quanto"}}, "modules_to_not_convert"}},
      .least_configs = 80};
  return method;
}

}  // namespace precis
