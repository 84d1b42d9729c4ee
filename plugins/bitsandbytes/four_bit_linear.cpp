#include "kernels/cpu/bitsandbytes/linear.h"
#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/linear.h"

namespace precis::bitsandbytes {
namespace {

uint64_t block_count(uint64_t elements, uint64_t blocksize) {
  return (elements + blocksize - 1) / blocksize;
}

}  // namespace

void FourBitQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                   sdk::PlanWriter& plan) const {
  plan.keeps_parts();
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> FourBitQuantizer::prepare_linear(const precis_call&,
                                                              const precis_linear_options& options,
                                                              const precis_param& param,
                                                              const sdk::ConstParts& parts,
                                                              const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  if (parts.size() < 4)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  const QuantState state = parse_quant_state(
      {sdk::data<const char>(*parts.back()), static_cast<std::size_t>(parts.back()->nbytes)});
  if (state.blocksize < 32) {
    throw sdk::PluginError(PRECIS_UNSUPPORTED, "blocks of " + std::to_string(state.blocksize) +
                                                   " are below bitsandbytes' smallest, 32");
  }
  const uint64_t blocks = block_count(matrix.elements(), state.blocksize);
  plugins::require_bytes(*parts[0], (matrix.elements() + 1) / 2);
  plugins::require_bytes(*parts[1], blocks * (state.nested ? 1 : sizeof(float)));
  const kernels::Isa isa = kernels::current_isa();
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::four_bit_linear_kernels(isa).decode;
  kernels::FourBitWeight format{};
  format.type = code_type(state.quant_type);
  format.weight_type = plugins::weight_type(weight_dtype(state.dtype));
  format.out_type = plugins::decoded_type(weight.arithmetic);
  format.packed = sdk::data<const uint8_t>(*parts[0]);
  format.blocksize = state.blocksize;
  format.columns = matrix.columns;
  format.blockwise = &kernels::blockwise_kernels(isa);
  if (state.nested) {
    if (parts.size() < 6)
      throw sdk::PluginError(PRECIS_DATA_LOSS, "the nested statistics are missing");
    plugins::require_bytes(*parts[3], block_count(blocks, state.nested_blocksize) * sizeof(float));
    plugins::require_bytes(*parts[4], 256 * sizeof(float));
    format.absmax_codes = sdk::data<const uint8_t>(*parts[1]);
    format.nested_absmax = sdk::data<const float>(*parts[3]);
    format.nested_codebook = sdk::data<const float>(*parts[4]);
    format.nested_blocksize = state.nested_blocksize;
    format.nested_offset = state.nested_offset;
  } else {
    format.absmax = sdk::data<const float>(*parts[1]);
  }
  weight.row_dot = kernels::four_bit_linear_kernels(isa).row_dot(format);
  return std::make_unique<plugins::Product<kernels::FourBitWeight>>(options, weight, format);
}

}  // namespace precis::bitsandbytes
