#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json group{{"targets", {"Linear"}}, {"weights", options.at("weights")}};
  if (options.contains("input_activations"))
    group["input_activations"] = options["input_activations"];
  return {{"quant_method", "compressed-tensors"}, {"config_groups", {{"group_0", group}}}};
}

const json& all_linears() {
  static const json config = config_of(
      {{"weights", {{"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}}}});
  return config;
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "compressed_tensors",
      .golden = {{.folder = "ct", .config = config_of}},
      .skip_lists = {{"compressed-tensors", all_linears(), "ignore"}},
      .least_configs = 60};
  return method;
}

}  // namespace precis
