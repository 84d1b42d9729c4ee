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

// So many rows of x are multiplied in another way than more.
constexpr int64_t kFewRows = 8;

class FewOrManyRows final : public sdk::Linear {
 public:
  FewOrManyRows(std::unique_ptr<sdk::Linear> few, std::unique_ptr<sdk::Linear> many)
      : few_(std::move(few)), many_(std::move(many)) {}
  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const bool is_few = x.view.ndim == 2 && x.view.shape[0] <= kFewRows;
    (is_few ? few_ : many_)->forward(call, x, bias, y);
  }

 private:
  std::unique_ptr<sdk::Linear> few_, many_;
};

// The RowDot of a type among those of several lists, or none.
kernels::RowDot find_row_dot(std::span<const std::span<const kernels::GgufRowDot>> lists,
                             std::string_view name, uint64_t in_features) {
  if (in_features % kernels::kDotColumns != 0) return {};
  for (const auto& list : lists) {
    if (const auto* entry = find(list, name)) return entry->dot;
  }
  return {};
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
  weight.row_dot = find_row_dot(table.row_dots, codec.name, matrix.columns);
  if ((options.flags & PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS) == 0) return product();
  const kernels::RowDot code_dot = find_row_dot(table.code_dots, codec.name, matrix.columns);
  const auto* type = find(table.integer_types, codec.name);
  std::unique_ptr<sdk::Linear> in_float;
  if (type == nullptr || (code_dot.multiply == nullptr &&
                          kernels::has_row_dot(weight, plugins::weight_type(options.activation))))
    in_float = product();
  if (type == nullptr && code_dot.multiply == nullptr) return in_float;
  weight.arithmetic = kernels::Arithmetic::int8_blocks;
  weight.row_dot = code_dot;
  if (type == nullptr) return std::make_unique<FewOrManyRows>(product(), std::move(in_float));
  weight.decode_codes = type->decode_codes;
  weight.block = type->block;
  weight.offset = type->offset;
  weight.minimums = type->minimums;
  if (in_float == nullptr) return product();
  // Integers that are written down first are slower than the numbers as they are stored.
  return std::make_unique<FewOrManyRows>(std::move(in_float), product());
}

}  // namespace precis::gguf
