#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "eetq",
      .golden = {{.folder = "eetq",
                  .config =
                      [](const json&) {
                        return json{{"quant_method", "eetq"}};
                      }}},
      .skip_lists = {{"eetq", {{"quant_method", "eetq"}}, "modules_to_not_convert", true, false}},
      .products = {{"eetq", {{64, 64}, {64, 1344}, {192, 128}}}},
      .least_configs = 28};
  return method;
}

}  // namespace precis
