#include "runtime/modules/quantized_linear.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/abi/views.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// Most rows of x that a method's product takes at once: bounds its workspace.
constexpr int64_t kMostRows = 512;
// Decoded rows of W held at once.
constexpr int64_t kDecodedBytes = 4 << 20;

template <typename T>
T value_or_throw(Result<T> result) {
  TORCH_CHECK(result.ok(), result.error().text());
  return *std::move(result);
}

// Registers `tensor` under a name that may have dots: "weight.absmax" is the buffer "absmax" of the
// child "weight".
void register_part(torch::nn::Module& module, const std::string& name, const at::Tensor& tensor) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) {
    module.register_buffer(name, tensor);
    return;
  }
  const std::string child = name.substr(0, dot);
  const auto children = module.named_children();
  const auto* known = children.find(child);
  const auto owner = known != nullptr
                         ? *known
                         : module.register_module(child, std::make_shared<torch::nn::Module>());
  register_part(*owner, name.substr(dot + 1), tensor);
}

}  // namespace

QuantizedLinear::QuantizedLinear(QuantizedWeight weight, torch::Tensor bias)
    : weight_(std::move(weight)) {
  for (std::size_t i = 0; i < weight_.specs.size(); ++i) {
    register_part(*this, weight_.specs[i].name, weight_.parts[i]);
  }
  if (bias.defined()) {
    bias_ = register_parameter("bias", bias.detach(), /*requires_grad=*/false);
  }
}

torch::Tensor QuantizedLinear::forward(const torch::Tensor& x) {
  const int64_t in_features = weight_.param.shape.back();
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == in_features, weight_.param.name, ": the input has ",
              x.dim() > 0 ? x.size(-1) : 0, " features, the layer takes ", in_features);
  TORCH_CHECK(x.is_cpu(), weight_.param.name, ": the input is on ", x.device(),
              ", the quantized weight is on the CPU");
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kHalf ||
                  x.scalar_type() == at::kBFloat16,
              weight_.param.name, ": the input is ", x.scalar_type(),
              ", it must be float32, float16 or bfloat16");
  const at::InferenceMode inference(x.is_inference());
  const at::NoGradGuard no_grad;
  const torch::Tensor rows = x.reshape({-1, in_features}).contiguous();
  const torch::Tensor bias = bias_.defined() ? bias_.to(x.scalar_type()) : bias_;
  torch::Tensor y = at::empty({rows.size(0), weight_.param.rows()}, rows.options());
  const Product& product = this->product(x.scalar_type());
  if (product.linear != nullptr) {
    multiply_by_method(product, rows, bias, y);
  } else {
    multiply_decoded(rows, bias, y);
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight_.param.rows();
  return y.view(shape);
}

torch::Tensor QuantizedLinear::dequantized_weight() const {
  return value_or_throw(weight_.decode_rows(0, weight_.param.rows()));
}

bool QuantizedLinear::has_product(at::ScalarType activation) {
  return product(activation).linear != nullptr;
}

const QuantizedLinear::Product& QuantizedLinear::product(at::ScalarType activation) {
  const std::lock_guard lock(mutex_);
  const auto known = products_.find(activation);
  if (known != products_.end()) return known->second;
  return products_.emplace(activation, value_or_throw(make_product(activation))).first->second;
}

Result<QuantizedLinear::Product> QuantizedLinear::make_product(at::ScalarType activation) const {
  Product product;
  if (!Linear::available(*weight_.quantizer)) return product;
  LinearOptions options;
  PRECIS_ASSIGN(options.activation, dtype_of(activation));
  options.max_rows = kMostRows;
  auto plan = Linear::plan(*weight_.quantizer, options, weight_.param);
  if (!plan.ok()) {
    // The method has no product for this shape or dtype: rows are decoded instead.
    if (plan.error().code() == ErrorCode::unsupported) return product;
    return std::move(plan).error();
  }
  std::vector<std::span<const std::byte>> parts;
  for (const at::Tensor& part : weight_.parts) parts.emplace_back(bytes_of(part));
  std::vector<std::span<std::byte>> packed;
  for (const PartSpec& spec : plan->packed) {
    PRECIS_ASSIGN(at::Tensor tensor, empty_part(spec));
    packed.push_back(bytes_of(tensor));
    product.packed.push_back(std::move(tensor));
  }
  product.workspace_bytes = plan->workspace_bytes;
  const at::Tensor workspace = at::empty({static_cast<int64_t>(plan->workspace_bytes)},
                                         at::TensorOptions().dtype(at::kByte));
  const AbiTensors abi_parts(weight_.specs, parts);
  const AbiTensors abi_packed(plan->packed, packed);
  PRECIS_ASSIGN(product.linear,
                Linear::prepare(weight_.quantizer, options, weight_.param,
                                {abi_parts.const_pointers(), abi_parts.count()},
                                {abi_packed.pointers(), abi_packed.count()}, bytes_of(workspace)));
  return product;
}

void QuantizedLinear::multiply_by_method(const Product& product, const torch::Tensor& x,
                                         const torch::Tensor& bias, torch::Tensor& y) const {
  const at::Tensor workspace = at::empty({static_cast<int64_t>(product.workspace_bytes)},
                                         at::TensorOptions().dtype(at::kByte));
  std::optional<TensorView> abi_bias;
  if (bias.defined()) abi_bias.emplace(value_or_throw(TensorView::of(bias)));
  for (int64_t begin = 0; begin < x.size(0); begin += kMostRows) {
    const int64_t rows = std::min(kMostRows, x.size(0) - begin);
    const torch::Tensor x_rows = x.narrow(0, begin, rows);
    const torch::Tensor y_rows = y.narrow(0, begin, rows);
    TensorView abi_x = value_or_throw(TensorView::of(x_rows));
    TensorView abi_y = value_or_throw(TensorView::of(y_rows));
    const Status status = product.linear->forward(
        *abi_x.get(), abi_bias ? abi_bias->get() : nullptr, *abi_y.get(), bytes_of(workspace));
    TORCH_CHECK(status.ok(), weight_.param.name, ": ", status.error().text());
  }
}

void QuantizedLinear::multiply_decoded(const torch::Tensor& x, const torch::Tensor& bias,
                                       torch::Tensor& y) const {
  const int64_t row_bytes = weight_.param.shape.back() * static_cast<int64_t>(sizeof(float));
  const int64_t step = std::max<int64_t>(1, kDecodedBytes / std::max<int64_t>(1, row_bytes));
  for (int64_t begin = 0; begin < weight_.param.rows(); begin += step) {
    const int64_t rows = std::min(step, weight_.param.rows() - begin);
    const torch::Tensor decoded =
        value_or_throw(weight_.decode_rows(begin, rows)).to(x.scalar_type());
    y.narrow(1, begin, rows)
        .copy_(at::linear(x, decoded, bias.defined() ? bias.narrow(0, begin, rows) : bias));
  }
}

}  // namespace precis
