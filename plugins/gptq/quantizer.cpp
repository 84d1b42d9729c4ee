#include "plugins/gptq/quantizer.h"

#include "plugins/weight_type.h"

namespace precis::gptq {
namespace {

using sdk::PluginError;

const kernels::GptqKernels& kernel() {
  return kernels::gptq_kernels(kernels::current_isa());
}

}  // namespace

GptqQuantizer::GptqQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

kernels::GptqShape GptqQuantizer::shape_of(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto group_size = config_.group_size > 0 ? static_cast<uint64_t>(config_.group_size)
                                                 : std::max<uint64_t>(matrix.columns, 1);
  return {matrix.rows, matrix.columns, group_size};
}

std::vector<sdk::PartLayout> GptqQuantizer::layout(const precis_param& param) const {
  if (config_.format_name != "gptq" && config_.format_name != "gptq_v2" &&
      config_.format_name != "gptq_p") {
    throw PluginError(PRECIS_UNSUPPORTED, "checkpoint_format '" + config_.format_name +
                                              "' is a kernel's own layout; convert it to gptq");
  }
  const kernels::GptqShape shape = shape_of(param);
  if (param.ndim != 2 || shape.rows % 32 != 0 || shape.columns % 32 != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, "its shape [" + std::to_string(shape.rows) + ", " +
                                              std::to_string(shape.columns) +
                                              "] is not in multiples of 32");
  }
  const auto rows = static_cast<int64_t>(shape.rows), columns = static_cast<int64_t>(shape.columns);
  const auto groups = static_cast<int64_t>(shape.groups());
  const int64_t bits = config_.format.bits;
  return {{"qweight", sdk::kInt32, {columns * bits / 32, rows}},
          {"qzeros", sdk::kInt32, {groups, rows * bits / 32}},
          {"scales", sdk::kFloat16, {groups, rows}, true},
          {"g_idx", sdk::kInt32, {columns}, false, {}, true}};
}

void GptqQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  constexpr uint32_t kOrdered = PRECIS_PARAM_CALIBRATED | PRECIS_PARAM_GRID;
  if (config_.columns_in_order_of_activation && (param.flags & kOrdered) == 0) {
    throw PluginError(PRECIS_FAILED_PRECONDITION,
                      "desc_act orders columns by measured activations: give calibration data, or "
                      "leave it false");
  }
}

sdk::StoredWeight GptqQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("qweight", 2);
  const precis_dtype scale = module.at("scales").dtype;
  return {sdk::is_weight_dtype(scale) ? scale : sdk::kFloat16,
          {codes.shape[1], codes.shape[0] * 32 / config_.format.bits}};
}

void GptqQuantizer::encode(const precis_call& call, const precis_param& param,
                           const precis_tensor& weight, const sdk::Parts& parts) const {
  const kernels::GptqShape shape = shape_of(param);
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<uint32_t>(*parts[kCodes]);
  auto* zeros = sdk::data<uint32_t>(*parts[kZeros]);
  auto* scales = sdk::data<uint16_t>(*parts[kScales]);
  auto* groups = sdk::data<int32_t>(*parts[kGroups]);
  for (uint64_t i = 0; i < shape.columns; ++i)
    groups[i] = static_cast<int32_t>(i / shape.group_size);
  sdk::for_rows(call, sdk::matrix(param), 32, [&](sdk::RowRange rows) {
    kernel().quantize(type, values, config_.format, config_.symmetric, shape, rows.begin, rows.end,
                      codes, zeros, scales);
  });
}

void check_groups(const int32_t* group_of, const kernels::GptqShape& shape) {
  const auto count = static_cast<int32_t>(shape.groups());
  for (uint64_t i = 0; i < shape.columns; ++i) {
    if (group_of[i] >= 0 && group_of[i] < count) continue;
    throw PluginError(PRECIS_DATA_LOSS, "g_idx names group " + std::to_string(group_of[i]) +
                                            " of " + std::to_string(count));
  }
}

const int32_t* GptqQuantizer::checked_groups(const precis_param& param,
                                             const sdk::ConstParts& parts) const {
  if (parts.size() <= kGroups) return nullptr;
  const auto* groups = sdk::data<const int32_t>(*parts[kGroups]);
  check_groups(groups, shape_of(param));
  return groups;
}

void GptqQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  const kernels::GptqShape shape = shape_of(param);
  const int32_t* groups = checked_groups(param, parts);
  kernel().dequantize(config_.format, shape, sdk::data<const uint32_t>(*parts[kCodes]),
                      sdk::data<const uint32_t>(*parts[kZeros]),
                      plugins::weight_type(parts[kScales]->view.dtype),
                      sdk::data<const void>(*parts[kScales]), groups, rows.begin, rows.end,
                      plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

void GptqQuantizer::write_skip_list(const sdk::ModuleList& patterns, sdk::Json& config) const {
  for (const std::string& pattern : patterns)
    config["dynamic"]["-:" + pattern] = sdk::Json::object();
}

std::string GptqQuantizer::sidecar_files(const precis_component& component) const {
  return sdk::Json{{"quantize_config.json", sdk::Json::parse(config(component))}}.dump();
}

}  // namespace precis::gptq
