// A plugin's products over kernels/cpu/linear.
#pragma once

#include <algorithm>
#include <precis/plugin.hpp>

#include "kernels/cpu/linear/product.h"
#include "plugins/parts.h"
#include "plugins/product_tensors.h"
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
    const uint64_t rows =
        checked_rows(options_, {weight_.out_features, weight_.in_features}, x, bias, y);
    const kernels::Activations in{weight_type(options_.activation), first_row<void>(x), rows,
                                  row_stride(x)};
    const kernels::LinearOutput out{first_row<void>(y), row_stride(y),
                                    bias == nullptr ? nullptr : sdk::data<const void>(*bias)};
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

  precis_linear_options options_;
  kernels::LinearWeight weight_;
  Format format_;
  std::vector<float> row_scales_;
};

}  // namespace precis::plugins
