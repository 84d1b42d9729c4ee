#include "runtime/modules/quantized_linear.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/abi/views.h"
#include "runtime/modules/module_tree.h"
#include "runtime/modules/widened_products.h"
#include "runtime/tensor/device.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// Most rows of x that a method's product takes at once: bounds its workspace.
constexpr int64_t kMostRows = 512;
// Decoded rows of W held at once on the CPU, where they stay in its caches.
constexpr int64_t kDecodedBytes = 4 << 20;

template <typename T>
T value_or_throw(Result<T> result) {
  TORCH_CHECK(result.ok(), result.error().text());
  return *std::move(result);
}

}  // namespace

torch::nn::Linear float_linear(const torch::Tensor& weight, const torch::Tensor& bias) {
  // Made small and given its weight afterwards: torch would fill it with random numbers first.
  torch::nn::Linear linear(torch::nn::LinearOptions(1, 1).bias(bias.defined()));
  linear->options.in_features(weight.size(1)).out_features(weight.size(0));
  linear->weight.set_data(weight);
  if (bias.defined()) linear->bias.set_data(bias.to(weight.scalar_type()));
  return linear;
}

QuantizedLinear::QuantizedLinear(QuantizedWeight weight, torch::Tensor bias, Arithmetic arithmetic)
    : QuantizedLayer(std::move(weight)), arithmetic_(arithmetic) {
  if (bias.defined()) {
    bias_ = register_parameter("bias", std::move(bias), /*requires_grad=*/false);
  }
}

torch::Tensor QuantizedLinear::forward(const torch::Tensor& x) {
  const int64_t in_features = weight().param.shape.back();
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == in_features, weight().param.name, ": the input has ",
              x.dim() > 0 ? x.size(-1) : 0, " features, the layer takes ", in_features);
  TORCH_CHECK(x.device() == weight().device(), weight().param.name, ": the input is on ",
              x.device(), ", the quantized weight on ", weight().device());
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kHalf ||
                  x.scalar_type() == at::kBFloat16,
              weight().param.name, ": the input is ", x.scalar_type(),
              ", it must be float32, float16 or bfloat16");
  const at::InferenceMode inference(x.is_inference());
  const at::NoGradGuard no_grad;
  if (!rounding_) return multiply(x);
  if (const auto momentum = Calibration::momentum())
    update_scale(rounding_->input_scale, x, rounding_->dtype, Calibration::kInputMomentum);
  const torch::Tensor y = multiply(round_activation(x, rounding_->dtype, rounding_->input_scale));
  if (const auto momentum = Calibration::momentum())
    update_scale(rounding_->output_scale, y, rounding_->dtype, *momentum);
  if (!rounding_->outputs) return y;
  return round_activation(y, rounding_->dtype, rounding_->output_scale);
}

torch::Tensor QuantizedLinear::multiply(const torch::Tensor& x) {
  const int64_t in_features = weight().param.shape.back();
  const torch::Tensor rows = x.reshape({-1, in_features}).contiguous();
  const torch::Tensor bias = bias_.defined() ? bias_.to(x.scalar_type()) : bias_;
  torch::Tensor y = at::empty({rows.size(0), weight().param.rows()}, rows.options());
  const Product& product = this->product(x.scalar_type());
  if (product.linear != nullptr) {
    multiply_by_method(product, rows, bias, y);
  } else {
    multiply_decoded(rows, bias, y);
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight().param.rows();
  return y.view(shape);
}

void QuantizedLinear::restore(const ModuleSite& site, at::ScalarType dtype) const {
  precis::replace_module(site, float_linear(dequantized_weight().to(dtype), bias_));
}

void QuantizedLinear::forget_products() {
  const std::lock_guard lock(mutex_);
  products_.clear();
}

bool QuantizedLinear::has_product(at::ScalarType activation) {
  return product(activation).linear != nullptr;
}

const QuantizedLinear::Product& QuantizedLinear::product(at::ScalarType activation) {
  std::vector<const void*> parts;
  for (const at::Tensor& part : weight().parts) parts.push_back(part.const_data_ptr());
  const std::lock_guard lock(mutex_);
  const auto known = products_.find(activation);
  if (known != products_.end() && known->second.parts == parts) return known->second;
  products_.erase(activation);
  return products_.emplace(activation, value_or_throw(make_product(activation))).first->second;
}

Result<QuantizedLinear::Product> QuantizedLinear::make_product(at::ScalarType activation) const {
  Product product;
  for (const at::Tensor& part : weight().parts) product.parts.push_back(part.const_data_ptr());
  if (!Linear::available(*weight().quantizer)) return product;
  const at::Device device = weight().device();
  PRECIS_ASSIGN(const Place where, place_of(device));
  LinearOptions options;
  if (where.capturing) {
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: a graph is being captured, and no product with {} is prepared; "
                             "call the layer with one before the capture",
                             weight().param.name, dtype_name(*dtype_of(activation))));
  }
  options.device = where.device;
  PRECIS_ASSIGN(options.activation, dtype_of(activation));
  options.max_rows = kMostRows;
  options.may_round_activations = arithmetic_ == Arithmetic::fast;
  auto plan = Linear::plan(*weight().quantizer, options, weight().param);
  if (!plan.ok()) {
    // The method has no product for this shape or dtype: rows are decoded instead.
    if (plan.error().code() == ErrorCode::unsupported) return product;
    return std::move(plan).error();
  }
  std::vector<std::span<const std::byte>> parts;
  for (const at::Tensor& part : weight().parts) parts.emplace_back(bytes_of(part));
  std::vector<std::span<std::byte>> packed;
  for (const PartSpec& spec : plan->packed) {
    PRECIS_ASSIGN(at::Tensor tensor, empty_part(spec, device));
    packed.push_back(bytes_of(tensor));
    product.packed.push_back(std::move(tensor));
  }
  product.workspace_bytes = plan->workspace_bytes;
  const at::Tensor workspace = empty_bytes(plan->workspace_bytes, device);
  const AbiTensors abi_parts(weight().specs, parts, where.device);
  const AbiTensors abi_packed(plan->packed, packed, where.device);
  auto linear = Linear::prepare(
      weight().quantizer, options, weight().param, {abi_parts.const_pointers(), abi_parts.count()},
      {abi_packed.pointers(), abi_packed.count()}, bytes_of(workspace), where);
  if (!linear.ok()) {
    // Or none for what stands in the parts, which the plan does not see.
    if (linear.error().code() != ErrorCode::unsupported) return std::move(linear).error();
    product.packed.clear();
    product.workspace_bytes = 0;
    return product;
  }
  product.linear = std::move(linear).value();
  return product;
}

void QuantizedLinear::multiply_by_method(const Product& product, const torch::Tensor& x,
                                         const torch::Tensor& bias, torch::Tensor& y) const {
  const Place where = value_or_throw(place_of(x.device()));
  const at::Tensor workspace = empty_bytes(product.workspace_bytes, x.device());
  std::optional<TensorView> abi_bias;
  if (bias.defined()) abi_bias.emplace(value_or_throw(TensorView::of(bias)));
  for (int64_t begin = 0; begin < x.size(0); begin += kMostRows) {
    const int64_t rows = std::min(kMostRows, x.size(0) - begin);
    const torch::Tensor x_rows = x.narrow(0, begin, rows);
    const torch::Tensor y_rows = y.narrow(0, begin, rows);
    TensorView abi_x = value_or_throw(TensorView::of(x_rows));
    TensorView abi_y = value_or_throw(TensorView::of(y_rows));
    const Status status =
        product.linear->forward(*abi_x.get(), abi_bias ? abi_bias->get() : nullptr, *abi_y.get(),
                                bytes_of(workspace), where);
    TORCH_CHECK(status.ok(), weight().param.name, ": ", status.error().text());
  }
}

void QuantizedLinear::multiply_decoded(const torch::Tensor& x, const torch::Tensor& bias,
                                       torch::Tensor& y) const {
  const int64_t row_bytes = weight().param.shape.back() * static_cast<int64_t>(sizeof(float));
  const int64_t step = x.is_cpu()
                           ? std::max<int64_t>(1, kDecodedBytes / std::max<int64_t>(1, row_bytes))
                           : weight().param.rows();
  for (int64_t begin = 0; begin < weight().param.rows(); begin += step) {
    const int64_t rows = std::min(step, weight().param.rows() - begin);
    const torch::Tensor decoded =
        value_or_throw(weight().decode_rows(begin, rows)).to(x.scalar_type());
    y.narrow(1, begin, rows)
        .copy_(widening_linear(x, decoded, bias.defined() ? bias.narrow(0, begin, rows) : bias));
  }
}

}  // namespace precis
