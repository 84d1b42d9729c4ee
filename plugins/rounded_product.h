// Products of a method whose library rounds activations as they come.
#pragma once

#include "kernels/cpu/activations/activations.h"
#include "plugins/linear.h"

namespace precis::plugins {

// What the product behind the rounding is planned and prepared with: rounded numbers are of the
// dtype of x, or float32.
inline precis_linear_options rounded_options(const precis_linear_options& options,
                                             const kernels::ActivationRounding& rounding) {
  precis_linear_options inner = options;
  if (!kernels::in_own_dtype(rounding.rule)) inner.activation = sdk::kFloat32;
  return inner;
}

// Workspace of a RoundedProduct, over what the inner product needs.
inline uint64_t rounded_workspace(const precis_linear_options& options,
                                  const kernels::ActivationRounding& rounding,
                                  const sdk::Matrix& matrix) {
  const precis_linear_options inner = rounded_options(options, rounding);
  const auto rows = static_cast<uint64_t>(options.max_rows);
  const auto aligned = [](uint64_t bytes) { return (bytes + 63) / 64 * 64; };
  uint64_t bytes = aligned(rows * matrix.columns * (inner.activation.bits / 8u));
  if (!sdk::same(inner.activation, options.activation))
    bytes += aligned(rows * matrix.rows * sizeof(float));
  return bytes;
}

// Products of integers of 8 bits: both sides have a scale a row. Sums of more columns than these
// could overflow.
inline constexpr uint64_t kMostIntegerColumns = 65536;

inline bool has_integer_rows(const kernels::ActivationRounding& rounding, uint64_t columns) {
  return rounding.symmetric && rounding.group == 0 && columns <= kMostIntegerColumns &&
         (rounding.rule == kernels::ActivationRule::torchao_integer ||
          rounding.rule == kernels::ActivationRule::compressed_integer);
}

// What a product of integers keeps.
struct IntegerRows {
  std::unique_ptr<kernels::ActivationRounding> rounding;
  std::unique_ptr<std::vector<float>> scales;
};

// codes: [rows][columns], scales: of its rows.
inline std::unique_ptr<sdk::Linear> integer_product(const precis_linear_options& options,
                                                    const kernels::ActivationRounding& rounding,
                                                    const sdk::Matrix& matrix, const int8_t* codes,
                                                    std::vector<float> scales) {
  IntegerRows kept{std::make_unique<kernels::ActivationRounding>(rounding),
                   std::make_unique<std::vector<float>>(std::move(scales))};
  kernels::LinearWeight weight{};
  weight.arithmetic = kernels::Arithmetic::int8_rows;
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.codes = codes;
  weight.scb = kept.scales->data();
  weight.rounding = kept.rounding.get();
  return std::make_unique<Product<IntegerRows>>(options, weight, std::move(kept));
}

class RoundedProduct final : public sdk::Linear {
 public:
  // product: prepared with rounded_options().
  RoundedProduct(const precis_linear_options& options, const kernels::ActivationRounding& rounding,
                 const sdk::Matrix& matrix, std::unique_ptr<sdk::Linear> product)
      : options_(options), rounding_(rounding), matrix_(matrix), product_(std::move(product)) {}

  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const precis_linear_options inner = rounded_options(options_, rounding_);
    const bool same_dtype = sdk::same(inner.activation, options_.activation);
    const uint64_t rows = checked_rows(options_, matrix_, x, bias, y);
    const uint64_t taken = rounded_workspace(options_, rounding_, matrix_);
    if (call.workspace_size < taken)
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
    auto* codes = static_cast<std::byte*>(call.workspace);
    precis_call rest = call;
    rest.workspace = codes + taken;
    rest.workspace_size = call.workspace_size - taken;
    round(x, rows, inner.activation, codes);
    int64_t x_shape[] = {x.view.shape[0], static_cast<int64_t>(matrix_.columns)};
    int64_t x_strides[] = {x_shape[1], 1};
    const precis_tensor rounded = tensor(codes, inner.activation, x_shape, x_strides);
    if (same_dtype) return product_->forward(rest, rounded, bias, y);
    auto* sums = codes + (rows_bytes(matrix_.columns) + 63) / 64 * 64;
    int64_t y_shape[] = {x.view.shape[0], static_cast<int64_t>(matrix_.rows)};
    int64_t y_strides[] = {y_shape[1], 1};
    precis_tensor wide = tensor(sums, inner.activation, y_shape, y_strides);
    product_->forward(rest, rounded, nullptr, wide);
    finish(reinterpret_cast<const float*>(sums), rows, bias, y);
  }

 private:
  uint64_t rows_bytes(uint64_t columns) const {
    return static_cast<uint64_t>(options_.max_rows) * columns * sizeof(float);
  }

  static precis_tensor tensor(std::byte* data, precis_dtype dtype, int64_t* shape,
                              int64_t* strides) {
    precis_tensor made{};
    made.struct_size = sizeof made;
    made.view = {data, {PRECIS_DEVICE_CPU, 0}, 2, dtype, shape, strides, 0};
    made.nbytes = static_cast<uint64_t>(shape[0] * shape[1]) * (dtype.bits / 8u);
    return made;
  }

  void round(const precis_tensor& x, uint64_t rows, precis_dtype to, std::byte* out) const {
    const auto type = weight_type(options_.activation);
    const uint64_t stride = row_stride(x), in = options_.activation.bits / 8u, size = to.bits / 8u;
    const auto* from = first_row<const std::byte>(x);
    sdk::Host::get().parallel_for(rows, 1, [&](uint64_t begin, uint64_t end) {
      kernels::activation_kernels(kernels::current_isa())
          .round(rounding_, type, from + begin * stride * in, stride, end - begin, matrix_.columns,
                 weight_type(to), out + begin * matrix_.columns * size);
    });
  }

  void finish(const float* sums, uint64_t rows, const precis_tensor* bias, precis_tensor& y) const {
    kernels::activation_kernels(kernels::current_isa())
        .finish(weight_type(options_.activation), sums, rows, matrix_.rows,
                bias == nullptr ? nullptr : sdk::data<const void>(*bias), first_row<void>(y),
                row_stride(y));
  }

  precis_linear_options options_;
  kernels::ActivationRounding rounding_;
  sdk::Matrix matrix_;
  std::unique_ptr<sdk::Linear> product_;
};

}  // namespace precis::plugins
