#include "kernels/cpu/gguf/linear.h"

#include "plugins/device.h"
#include "plugins/gguf/device.h"
#include "plugins/gguf/quantizer.h"
#include "plugins/linear.h"

namespace precis::gguf {
namespace {

// The entry of a type, or null.
template <typename Entry>
const Entry* find(std::span<const Entry> entries, std::string_view name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

// Each tensor of a file has a type of its own, known when it is prepared: room for the largest.
// diffusers decodes a weight and multiplies in floating point; ggml rounds the activations to 8
// bits and multiplies integers, which the host must allow.
void GgufQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  plan.keeps_parts();
  if (!plugins::on_cpu(options.device)) {
    plugins::device_product_shape(options, param);
    return;
  }
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.workspace(std::max(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns),
      plugins::product_workspace(options, kernels::Arithmetic::int8_blocks, matrix.columns)));
}

std::unique_ptr<sdk::Linear> GgufQuantizer::prepare_linear(const precis_call&,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts&) const {
  const bool on_cpu = plugins::on_cpu(options.device);
  const sdk::Matrix matrix = on_cpu ? plugins::product_shape(options, param)
                                    : plugins::device_product_shape(options, param);
  if (parts.size() != 1)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "a GGUF weight is one tensor");
  const kernels::GgufCodec& codec = codec_of(parts[0]->encoding, parts[0]->view.dtype);
  if (matrix.columns % codec.block_size != 0) {
    throw sdk::PluginError(PRECIS_DATA_LOSS, "in_features " + std::to_string(matrix.columns) +
                                                 " is not a multiple of the block size of " +
                                                 std::string(codec.name));
  }
  const uint64_t row_bytes = matrix.columns / codec.block_size * codec.block_bytes;
  plugins::require_bytes(*parts[0], matrix.rows * row_bytes);
  if (!on_cpu)
    return device_methods(options.device, codec.name)
        .prepare(options, param, codec.name, *parts[0]);
  kernels::LinearWeight weight{};
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  const bool may_round = (options.flags & PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS) != 0;
  const auto& table = kernels::gguf_linear_kernels(kernels::current_isa());
  const auto* type = may_round ? find(table.integer_types, codec.name) : nullptr;
  if (type != nullptr) {
    weight.arithmetic = kernels::Arithmetic::int8_blocks;
    weight.decode_codes = type->decode_codes;
    weight.block = type->block;
    weight.offset = type->offset;
    weight.minimums = type->minimums;
  } else {
    weight.arithmetic = plugins::float_arithmetic(options);
    weight.decode_floats = table.decode_floats;
    const auto* direct = find(table.bfloat16_decoders, codec.name);
    if (direct != nullptr && weight.arithmetic == kernels::Arithmetic::bfloat16)
      weight.decode_floats = direct->decode;
  }
  return std::make_unique<plugins::Product<kernels::GgufWeight>>(
      options, weight,
      kernels::GgufWeight{&codec, sdk::data<const uint8_t>(*parts[0]), row_bytes,
                          plugins::decoded_type(weight.arithmetic)});
}

}  // namespace precis::gguf
