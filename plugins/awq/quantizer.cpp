#include "plugins/awq/quantizer.h"

#include "plugins/weight_type.h"

namespace precis::awq {
namespace {

using kernels::AwqLayout;
using sdk::PluginError;

const kernels::AwqKernels& kernel() {
  return kernels::awq_kernels(kernels::current_isa());
}

}  // namespace

AwqQuantizer::AwqQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

kernels::AwqShape AwqQuantizer::shape_of(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto group_size = config_.group_size > 0 ? static_cast<uint64_t>(config_.group_size)
                                                 : std::max<uint64_t>(matrix.columns, 1);
  return {matrix.rows, matrix.columns, group_size};
}

std::vector<sdk::PartLayout> AwqQuantizer::layout(const precis_param& param) const {
  if (!config_.readable || !config_.layout) {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "AWQ weights are read and written with bits 4, zero_point true and a "
                      "version of gemm, gemv, gemv_fast or llm-awq");
  }
  const kernels::AwqShape shape = shape_of(param);
  const uint64_t columns_together = *config_.layout == AwqLayout::gemv_fast ? 64 : 8;
  if (param.ndim != 2 || shape.rows % 8 != 0 || shape.columns % shape.group_size != 0 ||
      shape.columns % columns_together != 0) {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "its shape [" + std::to_string(shape.rows) + ", " +
                          std::to_string(shape.columns) + "] is not in multiples of [8, " +
                          std::to_string(std::max(shape.group_size, columns_together)) + "]");
  }
  const auto rows = static_cast<int64_t>(shape.rows), columns = static_cast<int64_t>(shape.columns);
  const auto groups = static_cast<int64_t>(shape.groups());
  const auto width = static_cast<int64_t>(shape.zero_width());
  switch (*config_.layout) {
    case AwqLayout::gemm:
      break;
    case AwqLayout::gemv:
      return {{"qweight", sdk::kInt32, {rows, columns / 8}},
              {"qzeros", sdk::kInt32, {rows, width}},
              {"scales", sdk::kFloat16, {rows, 8 * width}, true}};
    case AwqLayout::gemv_fast:
      return {{"qweight", sdk::kInt16, {rows / 4, columns}},
              {config_.version == "llm-awq" ? "scaled_zeros" : "qzeros",
               sdk::kFloat16,
               {8 * width, rows},
               true},
              {"scales", sdk::kFloat16, {8 * width, rows}, true}};
  }
  return {{"qweight", sdk::kInt32, {columns, rows / 8}},
          {"qzeros", sdk::kInt32, {groups, rows / 8}},
          {"scales", sdk::kFloat16, {groups, rows}, true}};
}

void AwqQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
}

sdk::StoredWeight AwqQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("qweight", 2);
  const precis_dtype scale = module.at("scales").dtype;
  const precis_dtype dtype = sdk::is_weight_dtype(scale) ? scale : sdk::kFloat16;
  switch (config_.layout.value_or(AwqLayout::gemm)) {
    case AwqLayout::gemm:
      break;
    case AwqLayout::gemv:
      return {dtype, {codes.shape[0], codes.shape[1] * 8}};
    case AwqLayout::gemv_fast:
      return {dtype, {codes.shape[0] * 4, codes.shape[1]}};
  }
  return {dtype, {codes.shape[1] * 8, codes.shape[0]}};
}

void AwqQuantizer::encode(const precis_call& call, const precis_param& param,
                          const precis_tensor& weight, const sdk::Parts& parts) const {
  encode_numbers(call, param, plugins::weight_type(param.dtype), sdk::data<const void>(weight),
                 parts);
}

void AwqQuantizer::encode_numbers(const precis_call& call, const precis_param& param,
                                  kernels::WeightType type, const void* values,
                                  const sdk::Parts& parts) const {
  const kernels::AwqShape shape = shape_of(param);
  void* codes = sdk::data<void>(*parts[kCodes]);
  void* zeros = sdk::data<void>(*parts[kZeros]);
  auto* scales = sdk::data<uint16_t>(*parts[kScales]);
  sdk::for_rows(call, sdk::matrix(param), 8, [&](sdk::RowRange rows) {
    kernel().quantize(type, values, *config_.layout, shape, rows.begin, rows.end, codes, zeros,
                      scales);
  });
}

void AwqQuantizer::decode(const precis_call&, const precis_param& param,
                          const sdk::ConstParts& parts, sdk::RowRange rows,
                          const precis_tensor& out) const {
  decode_numbers(param, parts, rows, plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

void AwqQuantizer::check_zeros(const sdk::ConstParts& parts) const {
  if (*config_.layout == AwqLayout::gemv_fast &&
      !sdk::same(parts[kZeros]->view.dtype, parts[kScales]->view.dtype))
    throw PluginError(PRECIS_DATA_LOSS, "the zeros and the scales have different dtypes");
}

void AwqQuantizer::decode_numbers(const precis_param& param, const sdk::ConstParts& parts,
                                  sdk::RowRange rows, kernels::WeightType type, void* out) const {
  check_zeros(parts);
  const precis_dtype scale = parts[kScales]->view.dtype;
  kernel().dequantize(*config_.layout, shape_of(param), sdk::data<const void>(*parts[kCodes]),
                      sdk::data<const void>(*parts[kZeros]), plugins::weight_type(scale),
                      sdk::data<const void>(*parts[kScales]), rows.begin, rows.end, type, out);
}

}  // namespace precis::awq
