// A plugin's products over kernels/cpu/linear.
#pragma once

#include <algorithm>
#include <precis/plugin.hpp>

#include "kernels/cpu/linear/product.h"
#include "plugins/parts.h"
#include "plugins/weight_type.h"

namespace precis::plugins {

// [out_features, in_features] of the weight. Throws PRECIS_UNSUPPORTED for what no product here
// takes: another device, dtype or shape.
inline sdk::Matrix product_shape(const precis_linear_options& options, const precis_param& param) {
  using sdk::PluginError;
  if (options.device.type != PRECIS_DEVICE_CPU)
    throw PluginError(PRECIS_UNSUPPORTED, "only the CPU is supported");
  weight_type(options.activation);
  if (param.ndim != 2)
    throw PluginError(PRECIS_UNSUPPORTED, "'" + std::string(sdk::view(param.name)) +
                                              "' is not a matrix [out_features, in_features]");
  if (options.max_rows < 1) throw PluginError(PRECIS_INVALID_ARGUMENT, "max_rows is below 1");
  return sdk::matrix(param);
}

// Room for `arithmetic` on all threads of the host.
inline uint64_t product_workspace(const precis_linear_options& options,
                                  kernels::Arithmetic arithmetic, uint64_t in_features) {
  return kernels::linear_workspace(kernels::current_isa(), arithmetic, in_features,
                                   static_cast<uint64_t>(options.max_rows),
                                   sdk::Host::get().concurrency());
}

inline kernels::Arithmetic float_arithmetic(const precis_linear_options& options) {
  return kernels::float_arithmetic(kernels::current_isa(), weight_type(options.activation));
}
// What weights are decoded to for float_arithmetic.
inline kernels::WeightType decoded_type(kernels::Arithmetic arithmetic) {
  return arithmetic == kernels::Arithmetic::bfloat16 ? kernels::WeightType::bf16
                                                     : kernels::WeightType::f32;
}

// Format: what LinearWeight::format points to; kept here, with what it points to in turn.
template <typename Format>
class Product final : public sdk::Linear {
 public:
  // weight.format is set here.
  Product(const precis_linear_options& options, kernels::LinearWeight weight, Format format)
      : options_(options), weight_(weight), format_(std::move(format)) {
    weight_.format = &format_;
  }
  // The scale of each row, for LinearWeight::row_scales.
  void keep_row_scales(std::vector<float> scales) {
    row_scales_ = std::move(scales);
    weight_.row_scales = row_scales_.data();
  }

  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const kernels::Activations in{weight_type(options_.activation), rows_of(x, "x"),
                                  count_rows(x, y), row_stride(x)};
    const kernels::LinearOutput out{rows_of(y, "y"), row_stride(y), bias_of(bias)};
    uint64_t concurrency = sdk::Host::get().concurrency();
    while (workspace(in.rows, concurrency) > call.workspace_size && concurrency > 1) --concurrency;
    if (workspace(in.rows, concurrency) > call.workspace_size)
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
    kernels::linear_product(
        kernels::current_isa(), weight_, in, out, static_cast<std::byte*>(call.workspace),
        {concurrency, [](uint64_t tasks, const std::function<void(uint64_t)>& body) {
           sdk::Host::get().parallel_for(tasks, 1, [&](uint64_t begin, uint64_t end) {
             for (uint64_t task = begin; task < end; ++task) body(task);
           });
         }});
  }

 private:
  uint64_t workspace(uint64_t rows, uint64_t concurrency) const {
    return kernels::linear_workspace(kernels::current_isa(), weight_.arithmetic,
                                     weight_.in_features, rows, concurrency);
  }

  uint64_t count_rows(const precis_tensor& x, const precis_tensor& y) const {
    const auto fits = [](const precis_tensor& tensor, uint64_t columns) {
      return tensor.view.ndim == 2 && static_cast<uint64_t>(tensor.view.shape[1]) == columns;
    };
    if (!fits(x, weight_.in_features) || !fits(y, weight_.out_features) ||
        x.view.shape[0] != y.view.shape[0] || x.view.shape[0] > options_.max_rows) {
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             "x must be [rows, " + std::to_string(weight_.in_features) +
                                 "] and y [rows, " + std::to_string(weight_.out_features) +
                                 "], with at most the planned " +
                                 std::to_string(options_.max_rows) + " rows");
    }
    return static_cast<uint64_t>(x.view.shape[0]);
  }

  void* rows_of(const precis_tensor& tensor, const char* name) const {
    const precis_view& view = tensor.view;
    if (!sdk::same(view.dtype, options_.activation))
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             std::string(name) + " has not the planned dtype");
    if (view.ndim == 2 && ((view.shape[1] > 1 && view.strides[1] != 1) ||
                           (view.shape[0] > 1 && view.strides[0] < view.shape[1]))) {
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             std::string("the elements of a row of ") + name +
                                 " must be neighbours, and rows may not overlap");
    }
    return static_cast<std::byte*>(view.data) + view.byte_offset;
  }
  static uint64_t row_stride(const precis_tensor& tensor) {
    return tensor.view.ndim == 2 && tensor.view.shape[0] > 1
               ? static_cast<uint64_t>(tensor.view.strides[0])
               : 0;
  }
  const void* bias_of(const precis_tensor* bias) const {
    if (bias == nullptr) return nullptr;
    if (!sdk::same(bias->view.dtype, options_.activation) || bias->view.ndim != 1 ||
        static_cast<uint64_t>(bias->view.shape[0]) != weight_.out_features) {
      throw sdk::PluginError(
          PRECIS_INVALID_ARGUMENT,
          "the bias must be [" + std::to_string(weight_.out_features) + "] of the planned dtype");
    }
    return sdk::data<const void>(*bias);
  }

  precis_linear_options options_;
  kernels::LinearWeight weight_;
  Format format_;
  std::vector<float> row_scales_;
};

}  // namespace precis::plugins
