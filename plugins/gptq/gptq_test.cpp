#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  return {{"quant_method", "gptq"},
          {"bits", options.at("bits")},
          {"group_size", options.value("group_size", 128)},
          {"sym", options.value("sym", true)},
          {"desc_act", options.value("act_order", false)},
          {"checkpoint_format", options.value("format", "gptq")}};
}

// Columns in the order of activations: that order comes from calibration.
std::optional<std::vector<PartSpec>> act_order(const json& options, const Param& param) {
  if (!options.value("act_order", false)) return std::nullopt;
  const int64_t rows = param.shape[0], columns = param.shape[1], bits = options.at("bits");
  const int64_t groups = columns / options.at("group_size").get<int64_t>();
  return std::vector<PartSpec>{{"qweight", DType::i32, {columns * bits / 32, rows}, 0, ""},
                               {"qzeros", DType::i32, {groups, rows * bits / 32}, 0, ""},
                               {"scales", DType::f16, {groups, rows}, 0, ""},
                               {"g_idx", DType::i32, {columns}, 0, ""}};
}

}  // namespace

namespace {

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> shapes{{32, 32}, {32, 320}, {96, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> groups{
      {32, 128}, {32, 384}, {96, 1280}, {32, 4480}, {64, 384}};
  return {{"gptq:bits=4,group_size=32", shapes},
          {"gptq:bits=4,group_size=128,sym=false", groups},
          {"gptq:bits=4,group_size=64", groups},
          {"gptq:bits=4,group_size=32", groups},
          {"gptq:bits=4,group_size=-1,sym=false", groups},
          {"gptq:bits=2,group_size=64,checkpoint_format=gptq_v2", groups},
          {"gptq:bits=3,group_size=-1,sym=false", shapes},
          {"gptq:bits=8,group_size=32", shapes},
          {"gptq:bits=8,group_size=32", groups},
          {"gptq:bits=8,group_size=128,sym=false", groups},
          {"gptq:bits=6,group_size=32,checkpoint_format=gptq_p", shapes}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "gptq",
      .golden = {{.folder = "gptq", .config = config_of, .read_only = act_order}},
      .products = products(),
      .least_configs = 140};
  return method;
}

}  // namespace precis
