#include "runtime/tensor/device.h"

#include <ATen/Context.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmt/format.h>

#include <charconv>

namespace precis {
namespace {

// The first line: the rest is a stack trace.
std::string text_of(const c10::Error& failure) {
  const std::string text = failure.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

Result<at::Device> parse_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  if (name == "cuda") return at::Device(at::kCUDA, 0);
  if (name.starts_with("cuda:")) {
    int index = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + 5, end, index);
    if (error == std::errc() && stop == end && index >= 0 && index < 128)
      return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  }
  return Error(ErrorCode::device_error, fmt::format("'{}' is not a device", name),
               "devices are \"cpu\", \"cuda\" and \"cuda:N\"");
}

// Null: this LibTorch is built without them.
const c10::impl::DeviceGuardImplInterface* driver_of(c10::DeviceType type) {
  return c10::impl::hasDeviceGuardImpl(type) ? c10::impl::getDeviceGuardImpl(type) : nullptr;
}

// Why the driver counts no device, in torch's words.
std::string reason(const c10::impl::DeviceGuardImplInterface& driver) {
  try {
    driver.setDevice(at::Device(driver.type(), 0));
  } catch (const c10::Error& failure) {
    return ": " + text_of(failure);
  }
  return "";
}

// Releases of LibTorch before 2.9 have no such member.
template <typename Stream>
Result<void*> handle_of(const Stream& stream) {
  if constexpr (requires { stream.native_handle(); }) {
    return stream.native_handle();
  } else {
    return Error(ErrorCode::unsupported, "this LibTorch does not tell the streams of its devices",
                 "build precis with LibTorch 2.9 or later");
  }
}

// Whether a graph is being captured. Older releases of LibTorch do not tell.
template <typename Driver>
bool is_capturing(const Driver& driver, const c10::Stream& stream) {
  if constexpr (requires { driver.isStreamCapturing(stream); }) {
    return driver.isStreamCapturing(stream);
  } else {
    return false;
  }
}

}  // namespace

Result<at::Device> usable_device(const std::string& name) {
  PRECIS_ASSIGN(const at::Device device, parse_device(name));
  if (device.is_cpu()) return device;
  const auto* const driver = driver_of(device.type());
  if (driver == nullptr) {
    return Error(ErrorCode::device_error,
                 fmt::format("device '{}': this LibTorch is a build for the CPU alone", name),
                 "build precis with a LibTorch for CUDA or ROCm: ./bootstrap --libtorch DIR");
  }
  const int count = driver->deviceCount();
  if (count == 0) {
    return Error(
        ErrorCode::device_error,
        fmt::format("device '{}': this machine has none that can be used{}", name, reason(*driver)),
        "is the driver installed? nvidia-smi, or rocminfo, says what is there");
  }
  if (device.index() >= count) {
    return Error(
        ErrorCode::device_error,
        fmt::format("device '{}': this machine has {} of them, from cuda:0 on", name, count));
  }
  return device;
}

std::vector<std::string> usable_device_names() {
  std::vector<std::string> names{"cpu"};
  const auto* const driver = driver_of(at::kCUDA);
  const int count = driver == nullptr ? 0 : driver->deviceCount();
  for (int i = 0; i < count; ++i) names.push_back(fmt::format("cuda:{}", i));
  return names;
}

Result<precis_device> abi_device_of(const at::Device& device) {
  if (device.is_cpu()) return kCpuDevice;
  if (device.is_cuda()) {
    const int32_t type = at::globalContext().hasROCM() ? PRECIS_DEVICE_ROCM : PRECIS_DEVICE_CUDA;
    return precis_device{type, device.index()};
  }
  return Error(ErrorCode::unsupported,
               fmt::format("a tensor on '{}': precis works on cpu and cuda", device.str()));
}

Result<Place> place_of(const at::Device& device) {
  PRECIS_ASSIGN(const precis_device abi, abi_device_of(device));
  if (device.is_cpu()) return Place{abi, nullptr};
  const auto* const driver = c10::impl::getDeviceGuardImpl(device.type());
  const c10::Stream stream = driver->getStream(device);
  PRECIS_ASSIGN(void* const handle, handle_of(stream));
  return Place{abi, handle, is_capturing(*driver, stream)};
}

}  // namespace precis
