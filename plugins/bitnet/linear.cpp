#include "plugins/bitnet/quantizer.h"
#include "plugins/rounded_product.h"

namespace precis::bitnet {
namespace {

constexpr kernels::ActivationRounding kRounding{kernels::ActivationRule::bitnet};

struct TernaryWeight {
  const uint8_t* codes;
  uint64_t packed_rows, columns;
  std::array<float, 4> values;
};

// kRounding leaves products in float32 alone.
void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const TernaryWeight*>(format);
  const uint8_t* from = weight.codes + row % weight.packed_rows * weight.columns;
  const uint64_t bit = row / weight.packed_rows * 2;
  auto* to = static_cast<float*>(out);
  for (uint64_t i = begin; i < end; ++i) to[i - begin] = weight.values[from[i] >> bit & 3];
}

}  // namespace

void BitNetQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                  sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  layout(param);
  const precis_linear_options inner = plugins::rounded_options(options, kRounding);
  plan.keeps_parts();
  plan.workspace(plugins::product_workspace(inner, kernels::Arithmetic::float32, matrix.columns) +
                 plugins::rounded_workspace(options, kRounding, matrix));
}

// The library rounds activations to integers of 8 bits a token, in both of its classes.
std::unique_ptr<sdk::Linear> BitNetQuantizer::prepare_linear(const precis_call&,
                                                             const precis_linear_options& options,
                                                             const precis_param& param,
                                                             const sdk::ConstParts& parts,
                                                             const sdk::Parts&) const {
  check_parts(param, parts);
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = kernels::Arithmetic::float32;
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = decode_floats;
  auto product = std::make_unique<plugins::Product<TernaryWeight>>(
      plugins::rounded_options(options, kRounding), weight,
      TernaryWeight{sdk::data<const uint8_t>(*parts[kCodes]), matrix.rows / kTogether,
                    matrix.columns, values(parts)});
  return std::make_unique<plugins::RoundedProduct>(options, kRounding, matrix, std::move(product));
}

}  // namespace precis::bitnet
