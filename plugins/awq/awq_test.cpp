#include "tests/method/method_test.h"

namespace precis {

using nlohmann::json;

namespace {

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> shapes{{8, 64}, {40, 320}, {104, 1344}, {72, 384}};
  return {{"awq:bits=4,group_size=32,version=gemm", shapes},
          {"awq:bits=4,group_size=-1,version=gemm", shapes},
          {"awq:bits=4,group_size=64,version=gemv", shapes},
          {"awq:bits=4,group_size=64,version=gemv_fast", shapes}};
}

}  // namespace

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
      .skip_lists = {{"awq", {{"quant_method", "awq"}}, "modules_to_not_convert", true, false}},
      .products = products(),
      .least_configs = 110};
  return method;
}

}  // namespace precis
