#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json weight = options;
  weight.erase("shape");
  weight.erase("weight_dtype");
  weight["symmetric"] = true;
  return {{"quant_method", "quark"}, {"global_quant_config", {{"weight", weight}}}};
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  if (options["dtype"] == "fp4")
    return std::vector<PartSpec>{{"weight", DType::u8, {rows, columns / 2}, 0, ""},
                                 {"weight_scale", DType::u8, {rows, columns / 32}, 0, ""}};
  std::vector<int64_t> scales;
  if (options["qscheme"] == "per_channel") scales = {rows};
  const DType codes = options["dtype"] == "int8" ? DType::i8 : DType::f8_e4m3fn;
  return std::vector<PartSpec>{{"weight", codes, {rows, columns}, 0, ""},
                               {"weight_scale", param.dtype, scales, 0, ""}};
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "quark",
      .golden = {{.folder = "quark", .config = config_of, .read_only = parts_of}},
      .reads_products = true,
      .on_purpose = [](const json&) {
        return "Quark was not installed where the answers were recorded";
      }};
  return method;
}

}  // namespace precis
