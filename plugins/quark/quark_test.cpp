#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json weight = options;
  weight.erase("shape");
  weight.erase("weight_dtype");
  weight["symmetric"] = options["dtype"] != "uint4";
  return {{"quant_method", "quark"}, {"global_quant_config", {{"weight", weight}}}};
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> groups{{5, 32}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> packed{{8, 128}, {40, 384}, {104, 1280}};
  return {{"quark-fp8", any},       {"quark-fp8-rows", any}, {"quark-int8", any},
          {"quark-int8-rows", any}, {"quark-mxfp4", groups}, {"quark-int4", packed},
          {"quark-uint4", packed}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "quark",
      .golden = {{.folder = "quark", .config = config_of}},
      .products = products(),
      .on_purpose = [](const json&) {
        return "Quark was not installed where the answers were recorded";
      }};
  return method;
}

}  // namespace precis
