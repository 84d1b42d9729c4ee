#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{.plugin = "eetq",
                                      .golden = {{.folder = "eetq",
                                                  .config =
                                                      [](const json&) {
                                                        return json{{"quant_method", "eetq"}};
                                                      }}},
                                      .least_configs = 28};
  return method;
}

}  // namespace precis
