#include "plugins/bitnet/quantizer.h"

#include "plugins/weight_type.h"

namespace precis::bitnet {

using sdk::PluginError;

namespace {

float scale_of(const precis_tensor& part) {
  float scale = 0;
  kernels::with_type(plugins::weight_type(part.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    scale = Type::load(sdk::data<const typename Type::Stored>(part), 0);
  });
  return scale;
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
  throw PluginError(PRECIS_UNSUPPORTED,
                    "BitNet's weights are ternary by training; rounding others to three values "
                    "leaves nothing of the model (gguf:type=tq2_0 has the same size)");
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

void BitNetQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                             const sdk::Parts&) const {
  check_writable(param);
}

std::array<float, 4> BitNetQuantizer::values(const sdk::ConstParts& parts) const {
  const float scale = scale_of(*parts[kScale]);
  const float step = config_.scale_multiplies ? scale : 1.0f / scale;
  // A packed 3 is 2 for the library as well, though it writes none.
  return {-step, 0.0f, step, 2 * step};
}

void BitNetQuantizer::decode(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, sdk::RowRange rows,
                             const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t packed_rows = matrix.rows / kTogether;
  const auto* codes = sdk::data<const uint8_t>(*parts[kCodes]);
  const std::array<float, 4> values = this->values(parts);
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t row = rows.begin; row < rows.end; ++row) {
      const uint8_t* from = codes + row % packed_rows * matrix.columns;
      const uint64_t bit = row / packed_rows * 2;
      for (uint64_t i = 0; i < matrix.columns; ++i)
        Type::store(to, (row - rows.begin) * matrix.columns + i, values[from[i] >> bit & 3]);
    }
  });
}

}  // namespace precis::bitnet
