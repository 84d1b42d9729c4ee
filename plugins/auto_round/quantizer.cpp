#include "plugins/auto_round/quantizer.h"

#include "plugins/group_products.h"

namespace precis::auto_round {

using sdk::PluginError;

namespace {

[[noreturn]] void unsupported(const std::string& rule) {
  throw PluginError(PRECIS_UNSUPPORTED, rule);
}

uint64_t group_size_of(const Settings& settings, uint64_t columns) {
  return settings.group_size > 0 ? static_cast<uint64_t>(settings.group_size)
                                 : std::max<uint64_t>(columns, 1);
}

bool keeps_nothing(std::string_view, const sdk::ModuleList&) {
  return false;
}

const int32_t* checked_groups(const sdk::ConstParts& parts, const kernels::GptqShape& shape) {
  if (parts.size() <= kGroups) return nullptr;
  const auto* groups = sdk::data<const int32_t>(*parts[kGroups]);
  check_groups(groups, shape);
  return groups;
}

}  // namespace

void check_groups(const int32_t* group_of, const kernels::GptqShape& shape) {
  for (uint64_t i = 0; i < shape.columns; ++i) {
    if (group_of[i] >= 0 && static_cast<uint64_t>(group_of[i]) < shape.groups()) continue;
    throw PluginError(PRECIS_DATA_LOSS, "g_idx names group " + std::to_string(group_of[i]) +
                                            " of " + std::to_string(shape.groups()));
  }
}

AutoRoundQuantizer::AutoRoundQuantizer(Config config)
    : WeightQuantizer(config.normalized, {"", {}, keeps_nothing}), config_(std::move(config)) {
  if (config_.has_rotations)
    unsupported(
        "'rotation_config': the model must rotate its activations, which is not "
        "implemented");
}

Settings AutoRoundQuantizer::settings(const precis_param& param) const {
  const Settings found = settings_of(config_, sdk::module_of(sdk::view(param.name)));
  if (config_.packing == Packing::unread)
    unsupported("packing_format '" + config_.packing_name +
                "' is not read; auto_round:auto_gptq, auto_round:gptqmodel and "
                "auto_round:auto_awq are");
  if (found.bits < 2 || found.bits > 8) unsupported("packed weights have 2 to 8 bits");
  if (config_.packing == Packing::awq && found.bits != 4) unsupported("AWQ's packing has 4 bits");
  if (found.group_size != -1 && found.group_size < 1)
    unsupported("'group_size' must be -1 or positive");
  return found;
}

std::vector<sdk::PartLayout> AutoRoundQuantizer::layout(const precis_param& param) const {
  const Settings settings = this->settings(param);
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t group_size = group_size_of(settings, matrix.columns);
  const bool awq = config_.packing == Packing::awq;
  const uint64_t together = awq ? 8 : 32;
  if (param.ndim != 2 || matrix.rows % together != 0 ||
      matrix.columns % (awq ? group_size : 32) != 0)
    unsupported("its shape [" + std::to_string(matrix.rows) + ", " +
                std::to_string(matrix.columns) + "] does not fit the packing");
  const auto rows = static_cast<int64_t>(matrix.rows);
  const auto columns = static_cast<int64_t>(matrix.columns);
  const auto groups = static_cast<int64_t>((matrix.columns + group_size - 1) / group_size);
  if (awq)
    return {{"qweight", sdk::kInt32, {columns, rows / 8}},
            {"qzeros", sdk::kInt32, {groups, rows / 8}},
            {"scales", sdk::kFloat16, {groups, rows}, true}};
  return {{"qweight", sdk::kInt32, {columns / 32 * settings.bits, rows}},
          {"qzeros", sdk::kInt32, {groups, rows / 32 * settings.bits}},
          {"scales", sdk::kFloat16, {groups, rows}, true},
          {"g_idx", sdk::kInt32, {columns}, false, {}, true}};
}

void AutoRoundQuantizer::check_writable(const precis_param&) const {
  unsupported(
      "auto-round's rounding is learnt from calibration data; round to nearest with gptq "
      "or awq, whose tensors are the same");
}

sdk::StoredWeight AutoRoundQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("qweight", 2);
  const precis_dtype scale = module.at("scales").dtype;
  const precis_dtype dtype = sdk::is_weight_dtype(scale) ? scale : sdk::kFloat16;
  if (config_.packing == Packing::awq) return {dtype, {codes.shape[1] * 8, codes.shape[0]}};
  const int64_t bits = std::max<int64_t>(settings_of(config_, module.name()).bits, 1);
  return {dtype, {codes.shape[1], codes.shape[0] / bits * 32}};
}

void AutoRoundQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                                const sdk::Parts&) const {
  check_writable(param);
}

kernels::AwqShape AutoRoundQuantizer::awq_shape(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  return {matrix.rows, matrix.columns, group_size_of(settings(param), matrix.columns)};
}

kernels::GptqShape AutoRoundQuantizer::gptq_shape(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  return {matrix.rows, matrix.columns, group_size_of(settings(param), matrix.columns)};
}

kernels::GptqFormat AutoRoundQuantizer::gptq_format(const precis_param& param) const {
  return {static_cast<int>(settings(param).bits), false, config_.packing == Packing::gptq};
}

void AutoRoundQuantizer::decode(const precis_call&, const precis_param& param,
                                const sdk::ConstParts& parts, sdk::RowRange rows,
                                const precis_tensor& out) const {
  const kernels::Isa isa = kernels::current_isa();
  const auto scale_type = plugins::weight_type(parts[kScales]->view.dtype);
  const void* scales = sdk::data<const void>(*parts[kScales]);
  const auto out_type = plugins::weight_type(out.view.dtype);
  if (config_.packing == Packing::awq)
    return kernels::awq_kernels(isa).dequantize(
        kernels::AwqLayout::gemm, awq_shape(param), sdk::data<const void>(*parts[kCodes]),
        sdk::data<const void>(*parts[kZeros]), scale_type, scales, rows.begin, rows.end, out_type,
        sdk::data<void>(out));
  const kernels::GptqShape shape = gptq_shape(param);
  kernels::gptq_kernels(isa).dequantize(
      gptq_format(param), shape, sdk::data<const uint32_t>(*parts[kCodes]),
      sdk::data<const uint32_t>(*parts[kZeros]), scale_type, scales, checked_groups(parts, shape),
      rows.begin, rows.end, out_type, sdk::data<void>(out));
}

void AutoRoundQuantizer::plan_linear(const precis_linear_options& options,
                                     const precis_param& param, sdk::PlanWriter& plan) const {
  plugins::product_shape(options, param);
  layout(param);
  plugins::plan_group_product(options, param, settings(param).bits, gptq_shape(param).groups(),
                              false, plan);
}

std::unique_ptr<sdk::Linear> AutoRoundQuantizer::prepare_linear(
    const precis_call& call, const precis_linear_options& options, const precis_param& param,
    const sdk::ConstParts& parts, const sdk::Parts& packed) const {
  check_parts(param, parts);
  if (config_.packing == Packing::awq)
    return plugins::awq_product(call, options, param, kernels::AwqLayout::gemm, awq_shape(param),
                                parts, packed);
  const kernels::GptqShape shape = gptq_shape(param);
  return plugins::gptq_product(call, options, param, gptq_format(param), shape,
                               checked_groups(parts, shape), false, parts, packed);
}

void AutoRoundQuantizer::plan_grid(const precis_param& param, sdk::PlanWriter& grid) const {
  layout(param);
  const sdk::Matrix matrix = sdk::matrix(param);
  plugins::plan_grid(grid, matrix, plugins::grid_tiles(matrix, 1, gptq_shape(param).group_size),
                     true);
}

void AutoRoundQuantizer::read_grid(const precis_call&, const precis_param& param,
                                   const sdk::ConstParts& parts, const sdk::Parts& grid) const {
  check_parts(param, parts);
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::GptqShape shape = gptq_shape(param);
  const plugins::OwnGrid own(grid);
  const kernels::Isa isa = kernels::current_isa();
  const auto scale_type = plugins::weight_type(parts[kScales]->view.dtype);
  const void* scales = sdk::data<const void>(*parts[kScales]);
  const bool awq = config_.packing == Packing::awq;
  own.fill_maps(matrix, plugins::grid_tiles(matrix, 1, shape.group_size),
                awq ? nullptr : checked_groups(parts, shape));
  if (awq)
    return kernels::awq_kernels(isa).read_groups(kernels::AwqLayout::gemm, awq_shape(param),
                                                 sdk::data<const void>(*parts[kZeros]), scale_type,
                                                 scales, own.scales, own.zeros);
  kernels::gptq_kernels(isa).read_groups(gptq_format(param), shape,
                                         sdk::data<const uint32_t>(*parts[kZeros]), scale_type,
                                         scales, own.scales, own.zeros);
}

}  // namespace precis::auto_round
