#include "tests/method/method_test.h"

namespace precis {

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{.plugin = "modelopt", .golden = {}, .least_configs = 25};
  return method;
}

}  // namespace precis
