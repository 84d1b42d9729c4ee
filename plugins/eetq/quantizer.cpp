#include "plugins/eetq/quantizer.h"

#include "kernels/cpu/eetq/eetq.h"
#include "plugins/weight_type.h"

namespace precis::eetq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

const kernels::EetqKernels& kernel() {
  return kernels::eetq_kernels(kernels::current_isa());
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "eetq", {{"weights", OptionType::any, true, "int8", "int8", {}},
               {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  Json values =
      options("").read(object, {"quant_method", "bits", "zero_point"}, sdk::lenient(request));
  if (values["weights"] != "int8") {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'weights' is " + values["weights"].dump() + ", it must be int8");
  }
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  Config config;
  config.own_names = object.contains("bits") && !object.contains("weights");
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]),
                 four ? sdk::kept_by_leaf_or_segment : sdk::kept_by_pattern};
  values["quant_method"] = "eetq";
  config.normalized = std::move(values);
  return config;
}

EetqQuantizer::EetqQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

std::vector<sdk::PartLayout> EetqQuantizer::layout(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  // EETQ's own checks let 96 columns pass, and its preprocessor then writes out of bounds.
  if (param.ndim != 2 || matrix.rows % 64 != 0 || matrix.columns % 64 != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, "its shape [" + std::to_string(matrix.rows) + ", " +
                                              std::to_string(matrix.columns) +
                                              "] is not in multiples of 64");
  }
  const auto rows = static_cast<int64_t>(matrix.rows);
  return {{codes_name(), sdk::kInt8, {static_cast<int64_t>(matrix.columns), rows}},
          {"weight_scales", sdk::kFloat16, {rows}}};
}

void EetqQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
}

sdk::StoredWeight EetqQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at(codes_name(), 2);
  return {sdk::kFloat16, {codes.shape[1], codes.shape[0]}};
}

void EetqQuantizer::encode(const precis_call& call, const precis_param& param,
                           const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<uint8_t>(*parts[kCodes]);
  auto* scales = sdk::data<uint16_t>(*parts[kScales]);
  sdk::for_rows(call, matrix, 2, [&](sdk::RowRange rows) {
    kernel().quantize(plugins::weight_type(param.dtype), values, matrix.columns, rows.begin,
                      rows.end, codes, scales);
  });
}

void EetqQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  kernel().dequantize(sdk::data<const uint8_t>(*parts[kCodes]),
                      sdk::data<const uint16_t>(*parts[kScales]), sdk::matrix(param).columns,
                      rows.begin, rows.end, plugins::weight_type(out.view.dtype),
                      sdk::data<void>(out));
}

}  // namespace precis::eetq
