#include "plugins/bitnet/quantizer.h"

#include <algorithm>
#include <numeric>

#include "plugins/parts.h"

namespace precis::bitnet {

using sdk::PluginError;

namespace {

// One over the mean magnitude of the numbers that are finite, as WeightQuant of transformers has
// it. call.workspace: a sum for each row, so that threads do not change the result.
float absmean_scale(const precis_call& call, const sdk::Matrix& matrix, kernels::WeightType type,
                    const void* values) {
  auto* sums = static_cast<double*>(call.workspace);
  sdk::for_rows(call, matrix, 1, [&](sdk::RowRange rows) {
    kernels::bitnet_kernels(kernels::current_isa())
        .sum_rows(type, values, matrix.columns, rows.begin, rows.end, sums);
  });
  const double sum = std::accumulate(sums, sums + matrix.rows, 0.0);
  const double count = static_cast<double>(std::max<uint64_t>(matrix.elements(), 1));
  return 1.0f / std::max(static_cast<float>(sum / count), 1e-5f);
}

}  // namespace

std::vector<sdk::PartLayout> BitNetQuantizer::layout(const precis_param& param) const {
  if (param.ndim != 2 || param.shape[0] % static_cast<int64_t>(kTogether) != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "out_features must be a multiple of 4");
  return {
      {"weight", sdk::kUInt8, {param.shape[0] / static_cast<int64_t>(kTogether), param.shape[1]}},
      {"weight_scale", param.dtype, {1}, true}};
}

void BitNetQuantizer::check_writable(const precis_param&) const {
  if (config_.online)
    throw PluginError(
        PRECIS_UNSUPPORTED,
        "'quantization_mode' online: the layers round weights of full size themselves; "
        "take offline");
  if (config_.normalizes)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'use_rms_norm': the norms come with a model that was trained so");
}

uint64_t BitNetQuantizer::workspace(const precis_param& param) const {
  return sdk::matrix(param).rows * sizeof(double);
}

bool BitNetQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight BitNetQuantizer::describe(const sdk::StoredModule& module) const {
  if (config_.normalizes)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'use_rms_norm': each layer normalizes its activations, which a model of "
                      "plain Linear layers does not");
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_dtype scale = module.at("weight_scale").dtype;
  return {sdk::is_weight_dtype(scale) ? scale : sdk::kBFloat16,
          {codes.shape[0] * static_cast<int64_t>(kTogether), codes.shape[1]}};
}

void BitNetQuantizer::encode(const precis_call& call, const precis_param& param,
                             const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const sdk::Matrix packed{matrix.rows / kTogether, matrix.columns * kTogether};
  auto* codes = sdk::data<uint8_t>(*parts[kCodes]);
  const void* values = sdk::data<const void>(weight);
  const kernels::WeightType type = plugins::weight_type(param.dtype);
  const float scale = absmean_scale(call, matrix, type, values);
  sdk::for_rows(call, packed, 1, [&](sdk::RowRange rows) {
    kernels::bitnet_kernels(kernels::current_isa())
        .encode(type, values, packed.rows, matrix.columns, scale, rows.begin, rows.end, codes);
  });
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    Type::store(sdk::data<typename Type::Stored>(*parts[kScale]), 0,
                config_.scale_multiplies ? 1.0f / scale : scale);
  });
}

kernels::BitNetWeight BitNetQuantizer::stored_weight(const sdk::Matrix& matrix,
                                                     const sdk::ConstParts& parts) const {
  const float step = this->step(plugins::floats_of(*parts[kScale], 0, 1).front());
  // A packed 3 is 2 for the library as well, though it writes none.
  return {sdk::data<const uint8_t>(*parts[kCodes]),
          matrix.rows / kTogether,
          matrix.columns,
          {-step, 0.0f, step, 2 * step}};
}

void BitNetQuantizer::decode(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, sdk::RowRange rows,
                             const precis_tensor& out) const {
  kernels::bitnet_kernels(kernels::current_isa())
      .dequantize(stored_weight(sdk::matrix(param), parts), rows.begin, rows.end,
                  plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

}  // namespace precis::bitnet
