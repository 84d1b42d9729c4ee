#include "plugins/nunchaku/quantizer.h"

#include "kernels/cpu/common/float8.h"
#include "plugins/nunchaku/orders.h"
#include "plugins/weight_type.h"

namespace precis::nunchaku {

using sdk::PluginError;

namespace {

constexpr float kFloat4[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

// Number `index` of a tensor of floats.
double number(const precis_tensor& part, uint64_t index) {
  float value = 0;
  kernels::with_type(plugins::weight_type(part.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    value = Type::load(sdk::data<const typename Type::Stored>(part), index);
  });
  return value;
}

uint32_t nibble(const precis_tensor& part, uint64_t place) {
  return sdk::data<const uint8_t>(part)[place / 2] >> place % 2 * 4 & 15u;
}

// What the rows share, in order.
std::vector<double> smooth_factors(const precis_tensor& part, uint64_t columns) {
  std::vector<double> factors(columns);
  for (uint64_t k = 0; k < columns; ++k) factors[k] = number(part, scale_place(1, k, 0));
  return factors;
}

std::vector<double> down_projection(const precis_tensor& part, uint64_t columns, uint64_t rank) {
  std::vector<double> down(columns * rank);
  for (uint64_t k = 0; k < columns; ++k) {
    for (uint64_t r = 0; r < rank; ++r) down[k * rank + r] = number(part, down_place(rank, k, r));
  }
  return down;
}

bool keeps_all_but(std::string_view module, const sdk::ModuleList& targets) {
  return !sdk::contains(targets, module);
}

sdk::ModuleList all_targets(const Config& config) {
  sdk::ModuleList all = config.svdq;
  all.insert(all.end(), config.awq.begin(), config.awq.end());
  return all;
}

}  // namespace

NunchakuQuantizer::NunchakuQuantizer(Config config)
    : WeightQuantizer(config.normalized, {"", all_targets(config), keeps_all_but}),
      config_(std::move(config)) {}

bool NunchakuQuantizer::is_awq(std::string_view module) const {
  if (sdk::contains(config_.svdq, module)) return false;
  if (sdk::contains(config_.awq, module)) return true;
  throw PluginError(PRECIS_UNSUPPORTED, "'" + std::string(module) + "' is no target of the config");
}

bool NunchakuQuantizer::is_awq(const precis_param& param) const {
  return is_awq(sdk::module_of(sdk::view(param.name)));
}

std::vector<sdk::PartLayout> NunchakuQuantizer::layout(const precis_param& param) const {
  const bool awq = is_awq(param);
  const int64_t rows = param.ndim == 2 ? param.shape[0] : 0;
  const int64_t columns = param.ndim == 2 ? param.shape[1] : 0;
  const int64_t row_step = awq ? 4 : 128, column_step = awq ? 64 : 128;
  if (rows <= 0 || columns <= 0 || rows % row_step != 0 || columns % column_step != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "its shape must be in multiples of " +
                                              std::to_string(row_step) + " and " +
                                              std::to_string(column_step));
  if (awq) {
    if (columns % config_.awq_group != 0)
      throw PluginError(PRECIS_UNSUPPORTED, "in_features is not a multiple of group_size " +
                                                std::to_string(config_.awq_group));
    std::vector<sdk::PartLayout> parts{
        {"qweight", sdk::kInt32, {rows / 4, columns / 2}},
        {"wscales", param.dtype, {columns / config_.awq_group, rows}, true},
        {"wzeros", param.dtype, {columns / config_.awq_group, rows}, true}};
    // Exporters fill the groups up to a multiple of 16.
    parts[kScales].counted = parts[kZeros].counted = false;
    return parts;
  }
  if (config_.rank % 16 != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "'rank' must be a multiple of 16");
  const int64_t group = config_.nvfp4 ? 16 : 64;
  std::vector<sdk::PartLayout> parts{{"qweight", sdk::kInt8, {rows, columns / 2}},
                                     {"wscales",
                                      config_.nvfp4 ? sdk::kFloat8E4M3FN : param.dtype,
                                      {columns / group, rows},
                                      !config_.nvfp4},
                                     {"smooth_factor", param.dtype, {columns}, true},
                                     {"proj_down", param.dtype, {columns, config_.rank}, true},
                                     {"proj_up", param.dtype, {rows, config_.rank}, true}};
  if (config_.nvfp4) {
    parts.push_back({"wcscales", param.dtype, {rows}, true});
    parts.push_back({"wtscale", param.dtype, {1}, true});
  }
  return parts;
}

void NunchakuQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "SVDQuant needs calibration data and is only read; bitsandbytes' nf4 has 4 "
                    "bits without");
}

sdk::StoredWeight NunchakuQuantizer::describe(const sdk::StoredModule& module) const {
  const bool awq = is_awq(module.name());
  const precis_tensor_info& codes = module.at("qweight", 2);
  const precis_dtype dtype = module.at(awq ? "wscales" : "smooth_factor").dtype;
  return {sdk::is_weight_dtype(dtype) ? dtype : sdk::kBFloat16,
          {awq ? codes.shape[0] * 4 : codes.shape[0], codes.shape[1] * 2}};
}

void NunchakuQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                               const sdk::Parts&) const {
  check_writable(param);
}

// The kernel divides activations by smooth_factor before it rounds them, and the low-rank part
// takes them as they are.
void NunchakuQuantizer::svdq_row(const sdk::ConstParts& parts, const std::vector<double>& smooth,
                                 const std::vector<double>& down, uint64_t row, double* out) const {
  const uint64_t columns = smooth.size();
  const uint64_t group = config_.nvfp4 ? 16 : 64, groups = columns / group;
  const auto rank = static_cast<uint64_t>(config_.rank);
  const double row_scale =
      config_.nvfp4 ? number(*parts[kRowScales], scale_place(1, row, 0)) * number(*parts[kScale], 0)
                    : 1.0;
  std::vector<double> up(rank);
  for (uint64_t r = 0; r < rank; ++r) up[r] = number(*parts[kUp], up_place(rank, row, r));
  for (uint64_t k = 0; k < columns; ++k) {
    const uint32_t code = nibble(*parts[kWeight], weight_place(columns, row, k));
    double value = 0;
    if (config_.nvfp4) {
      const uint64_t place = micro_scale_place(groups, row, k / group);
      const auto bits = sdk::data<const uint8_t>(*parts[kScales])[place];
      const double magnitude = kFloat4[code & 7];
      value =
          (code < 8 ? magnitude : -magnitude) * kernels::float8_e4m3fn_to_float(bits) * row_scale;
    } else {
      const int32_t whole = static_cast<int32_t>(code) - (code < 8 ? 0 : 16);
      value = whole * number(*parts[kScales], scale_place(groups, row, k / group));
    }
    value /= smooth[k];
    for (uint64_t r = 0; r < rank; ++r) value += up[r] * down[k * rank + r];
    out[k] = value;
  }
}

void NunchakuQuantizer::awq_row(const sdk::ConstParts& parts, uint64_t rows, uint64_t columns,
                                uint64_t row, double* out) const {
  const auto group = static_cast<uint64_t>(config_.awq_group);
  for (uint64_t k = 0; k < columns; ++k) {
    const uint64_t place = k / group * rows + row;
    const double code = nibble(*parts[kWeight], awq_place(columns, row, k));
    out[k] = code * number(*parts[kScales], place) + number(*parts[kZeros], place);
  }
}

void NunchakuQuantizer::check_awq_groups(const precis_param& param,
                                         const sdk::ConstParts& parts) const {
  const uint64_t least = sdk::matrix(param).elements() / static_cast<uint64_t>(config_.awq_group);
  for (const std::size_t part : {kScales, kZeros}) {
    if (parts[part]->nbytes / (parts[part]->view.dtype.bits / 8u) < least)
      throw PluginError(PRECIS_DATA_LOSS,
                        part == kScales ? "'wscales' is too small" : "'wzeros' is too small");
  }
}

void NunchakuQuantizer::decode(const precis_call&, const precis_param& param,
                               const sdk::ConstParts& parts, sdk::RowRange rows,
                               const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const bool awq = is_awq(param);
  if (awq) check_awq_groups(param, parts);
  std::vector<double> row(matrix.columns), smooth, down;
  if (!awq) {
    smooth = smooth_factors(*parts[kSmooth], matrix.columns);
    down = down_projection(*parts[kDown], matrix.columns, static_cast<uint64_t>(config_.rank));
  }
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t i = rows.begin; i < rows.end; ++i) {
      awq ? awq_row(parts, matrix.rows, matrix.columns, i, row.data())
          : svdq_row(parts, smooth, down, i, row.data());
      for (uint64_t k = 0; k < matrix.columns; ++k)
        Type::store(to, (i - rows.begin) * matrix.columns + k, static_cast<float>(row[k]));
    }
  });
}

}  // namespace precis::nunchaku
