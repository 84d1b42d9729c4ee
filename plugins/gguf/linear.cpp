#include "kernels/cpu/gguf/linear.h"

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

// So many rows of x are multiplied faster by the numbers as they are stored, in float, than as
// integers.
constexpr int64_t kRowsInFloat = 8;

class FewOrManyRows final : public sdk::Linear {
 public:
  FewOrManyRows(std::unique_ptr<sdk::Linear> few, std::unique_ptr<sdk::Linear> many)
      : few_(std::move(few)), many_(std::move(many)) {}
  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const bool is_few = x.view.ndim == 2 && x.view.shape[0] <= kRowsInFloat;
    (is_few ? few_ : many_)->forward(call, x, bias, y);
  }

 private:
  std::unique_ptr<sdk::Linear> few_, many_;
};

const kernels::RowDot* find_row_dot(const kernels::GgufLinearKernels& table,
                                    std::string_view name) {
  for (const auto& row_dots : table.row_dots) {
    const auto* row_dot = find(row_dots, name);
    if (row_dot != nullptr) return &row_dot->dot;
  }
  return nullptr;
}

}  // namespace

StoredRows stored_matrix(const precis_param& param, const sdk::ConstParts& parts) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const StoredRows stored = stored_rows(param, parts, {0, matrix.rows});
  if (matrix.columns % stored.codec.block_size == 0) return stored;
  throw sdk::PluginError(PRECIS_DATA_LOSS, "in_features " + std::to_string(matrix.columns) +
                                               " is not a multiple of the block size of " +
                                               std::string(stored.codec.name));
}

// Each tensor of a file has a type of its own, known when it is prepared: room for the largest.
// diffusers decodes a weight and multiplies in floating point; ggml rounds the activations to 8
// bits and multiplies integers, which the host must allow.
void GgufQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  plan.keeps_parts();
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
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const kernels::GgufCodec& codec = stored_matrix(param, parts).codec;
  const uint64_t row_bytes = matrix.columns / codec.block_size * codec.block_bytes;
  kernels::LinearWeight weight{};
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  const auto product = [&]() -> std::unique_ptr<sdk::Linear> {
    return std::make_unique<plugins::Product<kernels::GgufWeight>>(
        options, weight,
        kernels::GgufWeight{&codec, sdk::data<const uint8_t>(*parts[0]), row_bytes,
                            plugins::decoded_type(weight.arithmetic),
                            kernels::gguf_decode_bfloat16(kernels::current_isa(), codec)});
  };
  const auto& table = kernels::gguf_linear_kernels(kernels::current_isa());
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.decode_floats = table.decode_floats;
  const kernels::RowDot* row_dot = find_row_dot(table, codec.name);
  if (row_dot != nullptr && weight.in_features % kernels::kDotColumns == 0)
    weight.row_dot = *row_dot;
  const bool may_round = (options.flags & PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS) != 0;
  const auto* type = may_round ? find(table.integer_types, codec.name) : nullptr;
  if (type == nullptr) return product();
  auto few =
      kernels::has_row_dot(weight, plugins::weight_type(options.activation)) ? product() : nullptr;
  weight.arithmetic = kernels::Arithmetic::int8_blocks;
  weight.decode_codes = type->decode_codes;
  weight.block = type->block;
  weight.offset = type->offset;
  weight.minimums = type->minimums;
  if (few == nullptr) return product();
  return std::make_unique<FewOrManyRows>(std::move(few), product());
}

}  // namespace precis::gguf
