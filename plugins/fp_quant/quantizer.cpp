#include "plugins/fp_quant/quantizer.h"

#include "plugins/parts.h"

namespace precis::fp_quant {

using sdk::PluginError;

std::vector<sdk::PartLayout> FpQuantQuantizer::layout(const precis_param& param) const {
  if (param.ndim != 2 || param.shape[1] % config_.rotated != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "in_features must be a multiple of hadamard_group_size " +
                                              std::to_string(config_.rotated));
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const sdk::PartLayout rotation{
      "forward_hadamard_matrix", param.dtype, {config_.rotated, config_.rotated}, true};
  std::vector<sdk::PartLayout> parts;
  if (config_.floats) {
    parts = {{"dqweight", param.dtype, {rows, columns}, true}, rotation};
    parts.push_back(sdk::companion("weight_global_scale"));
  } else {
    const auto groups = columns / static_cast<int64_t>(columns_of_a_scale());
    // QuTLASS fills the scales up to whole tiles of its kernels.
    sdk::PartLayout scales{"scales",
                           sdk::kUInt8,
                           {rows, groups},
                           false,
                           config_.exponents ? sdk::kFloat8E8M0FNU : sdk::kFloat8E4M3FN};
    scales.counted = false;
    parts = {{"qweight", sdk::kUInt8, {rows, columns / 2}},
             rotation,
             scales,
             {"weight_global_scale", param.dtype, {1}, true}};
  }
  for (const char* name : {"act_global_scale", "backward_hadamard_matrix"})
    parts.push_back(sdk::companion(name));
  return parts;
}

void FpQuantQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "FP-Quant's checkpoints are only read; compressed_tensors writes NVFP4 and "
                    "MXFP4 (nvfp4a16, mxfp4a16)");
}

sdk::StoredWeight FpQuantQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& numbers = module.at(anchor(), 2);
  const precis_dtype dtype = module.at("forward_hadamard_matrix", 2).dtype;
  return {sdk::is_weight_dtype(dtype) ? dtype : sdk::kBFloat16,
          {numbers.shape[0], config_.floats ? numbers.shape[1] : numbers.shape[1] * 2}};
}

void FpQuantQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                              const sdk::Parts&) const {
  check_writable(param);
}

void FpQuantQuantizer::rotated_rows(const precis_param& param, const sdk::ConstParts& parts,
                                    sdk::RowRange rows, float* out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const precis_tensor& numbers = *parts[kNumbers];
  if (config_.floats) {
    kernels::with_type(plugins::weight_type(numbers.view.dtype), [&](auto tag) {
      using Type = decltype(tag);
      const auto* from = sdk::data<const typename Type::Stored>(numbers);
      for (uint64_t i = rows.begin * matrix.columns; i < rows.end * matrix.columns; ++i)
        *out++ = Type::load(from, i);
    });
    return;
  }
  kernels::scaled_kernels(kernels::current_isa())
      .dequantize(rotated_weight(param, parts), rows.begin, rows.end, kernels::WeightType::f32,
                  out);
}

kernels::ScaledWeight FpQuantQuantizer::rotated_weight(const precis_param& param,
                                                       const sdk::ConstParts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const precis_view& scales = parts[kScales]->view;
  const uint64_t groups = matrix.columns / columns_of_a_scale();
  if (scales.ndim != 2 || static_cast<uint64_t>(scales.shape[0]) < matrix.rows ||
      static_cast<uint64_t>(scales.shape[1]) < groups)
    throw PluginError(PRECIS_DATA_LOSS, "'scales' is smaller than the weight's shape needs");
  kernels::ScaledWeight weight{};
  weight.rows = {kernels::NarrowType::float4_e2m1, 8, false, matrix.columns};
  weight.codes = sdk::data<const void>(*parts[kNumbers]);
  weight.scale_type = config_.exponents ? kernels::ScaleType::e8m0 : kernels::ScaleType::e4m3fn;
  weight.scales = sdk::data<const void>(*parts[kScales]);
  weight.tiles = {1, columns_of_a_scale(), static_cast<uint64_t>(scales.shape[1])};
  weight.divisor = plugins::floats_of(*parts[kGlobalScale], 0, 1)[0];
  return weight;
}

// The model multiplies rotated activations x H with the stored w H: together x (w H) H'.
void FpQuantQuantizer::decode(const precis_call&, const precis_param& param,
                              const sdk::ConstParts& parts, sdk::RowRange rows,
                              const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto size = static_cast<uint64_t>(config_.rotated);
  const std::vector<float> rotation = plugins::floats_of(*parts[kRotation], 0, size * size);
  std::vector<float> row(matrix.columns);
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t i = rows.begin; i < rows.end; ++i) {
      rotated_rows(param, parts, {i, i + 1}, row.data());
      for (uint64_t column = 0; column < matrix.columns; ++column) {
        const float* block = row.data() + column / size * size;
        const float* line = rotation.data() + column % size * size;
        double sum = 0;
        for (uint64_t j = 0; j < size; ++j) sum += static_cast<double>(block[j]) * line[j];
        Type::store(to, (i - rows.begin) * matrix.columns + column, static_cast<float>(sum));
      }
    }
  });
}

}  // namespace precis::fp_quant
