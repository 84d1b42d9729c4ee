#include "runtime/modules/quantized_weight.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/engine/logical_tensor.h"
#include "runtime/offload/stored_tensor.h"
#include "runtime/tensor/device.h"

namespace precis {
namespace {

Error named(Error error, const Param& param) {
  return std::move(error.with_context(fmt::format("tensor '{}'", param.name)));
}

}  // namespace

Result<QuantizedWeight> QuantizedWeight::encode(std::shared_ptr<const Quantizer> quantizer,
                                                Param param, const at::Tensor& weight,
                                                const PartMemory& memory) {
  const at::Device device = weight.device();
  PRECIS_ASSIGN(const Place where, place_of(device));
  auto plan = quantizer->plan(param, where.device);
  if (!plan.ok() && !device.is_cpu())
    return without_kernels(std::move(plan).error(), *quantizer, param);
  if (!plan.ok()) return named(std::move(plan).error(), param);
  QuantizedWeight result{std::move(param), std::move(quantizer), std::move(plan->parts), {}};
  std::vector<std::span<std::byte>> buffers;
  for (const PartSpec& spec : result.specs) {
    PRECIS_ASSIGN(at::Tensor part, memory ? memory(spec) : empty_part(spec, device));
    buffers.push_back(bytes_of(part));
    result.parts.push_back(std::move(part));
  }
  const at::Tensor workspace = empty_bytes(plan->workspace_bytes, device);
  const at::Tensor source = weight.detach().contiguous();
  const Status status = result.quantizer->quantize(result.param, bytes_of(source), result.specs,
                                                   buffers, bytes_of(workspace), nullptr, where);
  if (status.ok()) return result;
  if (device.is_cpu() || status.error().code() != ErrorCode::unsupported)
    return named(Error(status.error()), result.param);
  PRECIS_ASSIGN(const QuantizedWeight on_cpu,
                encode(result.quantizer, result.param, source.to(at::kCPU)));
  for (std::size_t i = 0; i < result.parts.size(); ++i) result.parts[i].copy_(on_cpu.parts[i]);
  return result;
}

Result<QuantizedWeight> QuantizedWeight::from_checkpoint(const LogicalTensor& tensor,
                                                         at::IntArrayRef shape, bool map) {
  QuantizedWeight weight{tensor.param, tensor.quantizer, {}, {}};
  if (!weight.param.shape_known) {
    weight.param.shape = shape.vec();
    weight.param.shape_known = true;
  }
  const std::size_t module = tensor.param.name.rfind('.') + 1;
  for (const LogicalTensor::Part& part : tensor.parts) {
    const TensorEntry& entry = *part.entry;
    PartSpec spec{entry.name.substr(module), entry.dtype, entry.shape, entry.nbytes,
                  entry.encoding};
    at::Tensor tensor_part;
    if (map) {
      PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(spec.dtype));
      PRECIS_ASSIGN(tensor_part, stored_tensor(part.file, entry, type, part_shape(spec)));
    }
    if (!tensor_part.defined()) {
      PRECIS_ASSIGN(const auto bytes, part.file->data(entry));
      PRECIS_ASSIGN(tensor_part, empty_part(spec));
      std::copy(bytes.begin(), bytes.end(), bytes_of(tensor_part).begin());
    }
    weight.specs.push_back(std::move(spec));
    weight.parts.push_back(std::move(tensor_part));
  }
  return weight;
}

at::Device QuantizedWeight::device() const {
  return parts.empty() ? at::Device(at::kCPU) : parts.front().device();
}

Result<at::Tensor> QuantizedWeight::decode_rows(int64_t row_begin, int64_t rows) const {
  PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(param.dtype));
  PRECIS_ASSIGN(const Place where, place_of(device()));
  std::vector<int64_t> shape = param.shape;
  shape.front() = rows;
  at::Tensor weight = at::empty(shape, at::TensorOptions().dtype(type).device(device()));
  std::vector<std::span<const std::byte>> buffers;
  for (const at::Tensor& part : parts) buffers.emplace_back(bytes_of(part));
  Status status = quantizer->dequantize(param, specs, buffers, row_begin, rows, param.dtype,
                                        bytes_of(weight), where);
  if (!status.ok()) return named(std::move(status).error(), param);
  return weight;
}

Error without_kernels(Error refusal, const Quantizer& quantizer, const Param& param) {
  return Error(refusal.code(),
               fmt::format("tensor '{}' as {}: {}", param.name, quantizer.spec(), refusal.text()),
               "`precis backends` tells which plugins have kernels for devices; others run on the "
               "CPU");
}

uint64_t QuantizedWeight::bytes() const {
  uint64_t bytes = 0;
  for (const PartSpec& spec : specs) bytes += spec.nbytes;
  return bytes;
}

}  // namespace precis
