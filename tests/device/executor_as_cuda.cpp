#include "tests/device/executor_as_cuda.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/abi/call.h"
#include "core/abi/host.h"

extern "C" const precis_plugin_entry precis_plugin_entry_v1;

namespace precis {
namespace {

using c10::Device;
using c10::Stream;

const Device kDevice(at::kCUDA, 0);

bool capturing = false;

struct Driver final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return at::kCUDA; }
  Device exchangeDevice(Device) const override { return kDevice; }
  Device getDevice() const override { return kDevice; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override { return Stream(Stream::DEFAULT, kDevice); }
  Stream exchangeStream(Stream) const override { return Stream(Stream::DEFAULT, kDevice); }
  void* getStreamNativeHandle(const Stream) const override { return executor_stream(); }
  bool isStreamCapturing(const Stream&) const override { return capturing; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(CUDA, Driver);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    void* memory = nullptr;
    TORCH_CHECK(posix_memalign(&memory, 512, bytes + 1) == 0, "no memory");
    return {memory, memory, &std::free, kDevice};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};
Memory memory;
const c10::DispatchKeySet kKeys(c10::DispatchKey::CUDA);

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef strides,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, strides, &memory, kKeys,
                                           c10::dtype_or_default(dtype));
}

at::Tensor as_cpu(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                       at::TensorOptions(tensor.scalar_type()));
}

at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool) {
  as_cpu(to).copy_(as_cpu(from));
  return to;
}

at::Tensor copy_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (from.sizes() != to.sizes()) {
    to.unsafeGetTensorImpl()->set_storage_and_dtype(at::empty(from.sizes(), to.options()).storage(),
                                                    to.dtype());
    to.unsafeGetTensorImpl()->set_sizes_contiguous(from.sizes());
  }
  as_cpu(to).copy_(as_cpu(from));
  return to;
}

void check_device(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  TORCH_CHECK(!tensor.defined() || tensor.dim() == 0 || tensor.device() == kDevice,
              op.operator_name(), ": a tensor of its is on ", tensor.device());
}

void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto arguments = torch::jit::last(*stack, op.schema().arguments().size());
  for (const c10::IValue& argument : arguments) {
    if (argument.isTensor()) check_device(op, argument.toTensor());
    if (!argument.isTensorList()) continue;
    for (const at::Tensor& tensor : argument.toTensorVector()) check_device(op, tensor);
  }
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("copy_", copy);
  library.impl("_copy_from_and_resize", copy_and_resize);
  library.impl("view", at::native::view);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
}

class LinkedPlugin final : public MethodResolver {
 public:
  Result<std::shared_ptr<const Quantizer>> from_spec(const std::string& spec,
                                                     const std::string&) override {
    if (precis_plugin_entry_v1.init(&process_host().abi(), PRECIS_ABI_MINOR, nullptr) != PRECIS_OK)
      return Error(ErrorCode::plugin, "the linked plugin does not begin");
    const auto* factory = static_cast<const precis_quantizer_factory_v1*>(
        precis_plugin_entry_v1.get_factory(PRECIS_QUANTIZER_FACTORY_1));
    const precis_config config{sizeof(precis_config), 0, {spec.data(), spec.size()}, {}, {}};
    precis_quantizer* quantizer = nullptr;
    const Call call;
    PRECIS_TRY(call.finish(factory->create(call.abi(), 0, &config, &quantizer), spec));
    return Quantizer::adopt(quantizer, "linked", "test", spec, spec);
  }

  Result<std::shared_ptr<const Quantizer>> from_component(const Component& component) override {
    const auto config = component.config.find("quantization_config");
    if (config == component.config.end()) return std::shared_ptr<const Quantizer>();
    return from_spec(config->dump(), component.library);
  }
};

}  // namespace

void* executor_stream() {
  static int stream = 0;
  return &stream;
}

Capture::Capture() {
  capturing = true;
}

Capture::~Capture() {
  capturing = false;
}

MethodResolver& linked_plugin() {
  static LinkedPlugin plugin;
  return plugin;
}

}  // namespace precis
