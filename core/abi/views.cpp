#include "core/abi/views.h"

#include <fmt/format.h>

namespace precis {
namespace {

Result<PartSpec> from_abi_spec(const precis_tensor_spec& spec) {
  PartSpec part;
  part.name = from_abi(spec.name);
  const std::optional<DType> dtype = dtype_from_abi(spec.dtype);
  if (!dtype || spec.ndim < 0 || spec.ndim > 8 || part.name.empty()) {
    return Error(ErrorCode::plugin, fmt::format("the plan of '{}' is malformed", part.name));
  }
  if (spec.alignment > 64 || (spec.alignment & (spec.alignment - 1)) != 0 || spec.layout != nullptr)
    return Error(
        ErrorCode::plugin,
        fmt::format("the plan of '{}' asks for an alignment of {} and the layout '{}': up to "
                    "64, and none",
                    part.name, spec.alignment, spec.layout ? spec.layout : ""));
  part.dtype = *dtype;
  part.shape.assign(spec.shape, spec.shape + spec.ndim);
  part.nbytes = spec.nbytes;
  if (spec.encoding != nullptr) part.encoding = spec.encoding;
  return part;
}

}  // namespace

AbiTensors::AbiTensors(std::span<const PartSpec> specs,
                       std::span<const std::span<std::byte>> buffers, precis_device device) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    tensors_.push_back(std::make_unique<AbiTensor>(buffers[i].data(), specs[i].nbytes,
                                                   specs[i].dtype, specs[i].shape,
                                                   specs[i].encoding, false, device));
    pointers_.push_back(tensors_.back()->get());
  }
}

AbiTensors::AbiTensors(std::span<const PartSpec> specs,
                       std::span<const std::span<const std::byte>> buffers, precis_device device) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    tensors_.push_back(std::make_unique<AbiTensor>(buffers[i].data(), specs[i].nbytes,
                                                   specs[i].dtype, specs[i].shape,
                                                   specs[i].encoding, true, device));
    pointers_.push_back(tensors_.back()->get());
  }
}

Result<PartPlan> ask_for_plan(
    const std::function<precis_status(const precis_call*, precis_plan*)>& ask, uint32_t* flags) {
  for (uint32_t capacity = 16;;) {
    std::vector<precis_tensor_spec> specs(capacity);
    std::vector<precis_tensor_spec*> pointers(capacity);
    for (uint32_t i = 0; i < capacity; ++i) {
      specs[i] = {};
      specs[i].struct_size = sizeof(precis_tensor_spec);
      pointers[i] = &specs[i];
    }
    precis_plan plan{sizeof(precis_plan), 0, pointers.data(), capacity, 0, 0};
    const Call call;
    const precis_status status = ask(call.abi(), &plan);
    if (status == PRECIS_INVALID_ARGUMENT && plan.count > capacity && plan.count <= 4096) {
      capacity = plan.count;
      continue;
    }
    PRECIS_TRY(call.finish(status, ""));
    if (plan.count > capacity) {
      return Error(ErrorCode::plugin, "the plan counts more tensors than it was given room for");
    }
    PartPlan result;
    result.workspace_bytes = plan.workspace_size;
    for (uint32_t i = 0; i < plan.count; ++i) {
      PRECIS_ASSIGN(PartSpec part, from_abi_spec(specs[i]));
      result.parts.push_back(std::move(part));
    }
    if (flags != nullptr) *flags = plan.flags;
    return result;
  }
}

}  // namespace precis
