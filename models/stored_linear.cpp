#include "models/stored_linear.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>

namespace precis::models {
namespace {

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

at::Tensor make_bytes(uint64_t count) {
  return at::empty({static_cast<int64_t>(count)}, at::kByte);
}

}  // namespace

Result<DType> core_dtype(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return DType::f32;
    case at::kHalf:
      return DType::f16;
    case at::kBFloat16:
      return DType::bf16;
    case at::kDouble:
      return DType::f64;
    default:
      break;
  }
  return Error(ErrorCode::unsupported,
               fmt::format("weights of type {} cannot be read", c10::toString(dtype)),
               "use float32, bfloat16 or float16");
}

StoredLinear::StoredLinear(Param param, std::shared_ptr<const Quantizer> quantizer, at::Tensor bias,
                           at::ScalarType dtype)
    : param_(std::move(param)), quantizer_(std::move(quantizer)), dtype_(dtype) {
  if (bias.defined()) bias_ = register_parameter("bias", bias, /*requires_grad=*/false);
}

std::span<std::byte> StoredLinear::add_part(PartSpec spec) {
  parts_.push_back(make_bytes(spec.nbytes));
  specs_.push_back(std::move(spec));
  return bytes_of(parts_.back());
}

Result<std::shared_ptr<StoredLinear>> StoredLinear::quantize(const TensorPlan& plan,
                                                             at::Tensor bias,
                                                             at::ScalarType dtype) {
  const Param& param = plan.source.param;
  std::shared_ptr<StoredLinear> layer(
      new StoredLinear(param, plan.quantizer, std::move(bias), dtype));
  std::vector<std::span<std::byte>> parts;
  for (const PartSpec& spec : plan.parts) parts.push_back(layer->add_part(spec));
  const auto weight = make_bytes(dtype_bytes(param.dtype, param.elements()).value_or(0));
  PRECIS_TRY(plan.source.read_rows_as(param.dtype, 0, param.rows(), bytes_of(weight)));
  const auto workspace = make_bytes(plan.workspace_bytes);
  PRECIS_TRY(plan.quantizer->quantize(param, bytes_of(weight), plan.parts, parts,
                                      bytes_of(workspace), nullptr));
  plan.source.release_source();
  return layer;
}

Result<std::shared_ptr<StoredLinear>> StoredLinear::load(const LogicalTensor& source,
                                                         at::Tensor bias, at::ScalarType dtype) {
  std::shared_ptr<StoredLinear> layer(
      new StoredLinear(source.param, source.quantizer, std::move(bias), dtype));
  for (const LogicalTensor::Part& part : source.parts) {
    PRECIS_ASSIGN(const auto stored, part.file->data(*part.entry));
    const auto& entry = *part.entry;
    const auto target =
        layer->add_part({entry.name, entry.dtype, entry.shape, entry.nbytes, entry.encoding});
    std::memcpy(target.data(), stored.data(), stored.size());
  }
  source.release_source();
  return layer;
}

at::Tensor StoredLinear::forward(const at::Tensor& x) {
  return at::linear(x, dequantized_weight().to(x.scalar_type()), bias_);
}

at::Tensor StoredLinear::dequantized_weight() const {
  const auto weight = at::empty(param_.shape, dtype_);
  std::vector<std::span<const std::byte>> parts;
  for (const at::Tensor& part : parts_) parts.push_back(bytes_of(part));
  const auto status = quantizer_->dequantize(param_, specs_, parts, 0, param_.rows(),
                                             *core_dtype(dtype_), bytes_of(weight));
  TORCH_CHECK(status.ok(), "weight '", param_.name, "': ", status.error().text());
  return weight;
}

uint64_t StoredLinear::stored_bytes() const {
  uint64_t bytes = 0;
  for (const PartSpec& spec : specs_) bytes += spec.nbytes;
  return bytes;
}

}  // namespace precis::models
