// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/host_runtime.h"

#include <atomic>
#include <new>

#if defined(__HIP__)
#include "kernels/hip/modules.h"
#include "kernels/hip/runtime_library.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {

#if defined(PRECIS_DEVICE_SIMT)

std::string device_fault(int index) {
  return index == 0 ? "" : "the executor is one device, number 0";
}
const char* read_device(void* to, const void* from, size_t bytes, void*) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return nullptr;
}
const char* write_device(void* to, const void* from, size_t bytes, void*) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return nullptr;
}
bool& executor_has_wgmma() {
  static bool has = false;
  return has;
}
bool wgmma_available() {
  return executor_has_wgmma();
}
CurrentDevice::CurrentDevice(int) {}
CurrentDevice::~CurrentDevice() {}

StreamMemory::StreamMemory(size_t bytes, void* stream)
    : data_(::operator new(bytes)), stream_(stream) {}
StreamMemory::~StreamMemory() {
  ::operator delete(data_);
}

#elif defined(__CUDACC__)

namespace {

constexpr int kOldest = 80;  // compute capability, times ten

__global__ void probe_kernel() {}

const char* copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, void* stream) {
  if (bytes == 0) return nullptr;
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(stream));
  if (error == cudaSuccess) error = cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// The error, taken from the thread's state, where it would meet the next launch.
std::string text_of(cudaError_t error) {
  cudaGetLastError();
  return cudaGetErrorString(error);
}

}  // namespace

std::string device_fault(int index) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess)
    return text_of(error);
  if (index < 0 || index >= count)
    return "there is no device " + std::to_string(index) + ", the machine has " +
           std::to_string(count);
  int major = 0, minor = 0;
  cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  if (error == cudaSuccess)
    error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  if (error != cudaSuccess) return text_of(error);
  const std::string capability = std::to_string(major) + "." + std::to_string(minor);
  if (10 * major + minor < kOldest)
    return "its compute capability " + capability + " is below 8.0, the oldest that is supported";
  const CurrentDevice current(index);
  cudaFuncAttributes attributes;
  error = cudaFuncGetAttributes(&attributes, probe_kernel);
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction) {
    text_of(error);
    return "this build holds no code for its compute capability " + capability;
  }
  return error == cudaSuccess ? "" : text_of(error);
}

const char* read_device(void* to, const void* from, size_t bytes, void* stream) {
  return copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}
const char* write_device(void* to, const void* from, size_t bytes, void* stream) {
  return copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

bool wgmma_available() {
  constexpr int kDevices = 64;
  static std::atomic<int> capabilities[kDevices];  // 0: not asked yet
  int index = 0, major = 0, minor = 0;
  if (cudaGetDevice(&index) != cudaSuccess || index < 0 || index >= kDevices) return false;
  if (const int known = capabilities[index].load(std::memory_order_relaxed); known != 0)
    return known == 90;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index) != cudaSuccess)
    return false;
  capabilities[index].store(10 * major + minor, std::memory_order_relaxed);
  return 10 * major + minor == 90;
}

CurrentDevice::CurrentDevice(int index) {
  int before = -1;
  cudaError_t error = cudaGetDevice(&before);
  if (error == cudaSuccess && before == index) return;
  if (error == cudaSuccess) error = cudaSetDevice(index);
  if (error == cudaSuccess)
    before_ = before;
  else
    error_ = cudaGetErrorString(error);
}
CurrentDevice::~CurrentDevice() {
  if (before_ >= 0) cudaSetDevice(before_);
}

StreamMemory::StreamMemory(size_t bytes, void* stream) : stream_(stream) {
  if (bytes == 0) return;
  const cudaError_t error = cudaMallocAsync(&data_, bytes, static_cast<cudaStream_t>(stream));
  if (error != cudaSuccess) error_ = cudaGetErrorString(error);
}
StreamMemory::~StreamMemory() {
  if (data_ != nullptr) cudaFreeAsync(data_, static_cast<cudaStream_t>(stream_));
}

#elif defined(__HIP__)

namespace {

const char* copy(void* to, const void* from, size_t bytes, int kind, void* stream) {
  if (bytes == 0) return nullptr;
  const hip::Runtime& runtime = hip::runtime();
  hip::Error error = runtime.hipMemcpyAsync(to, from, bytes, kind, stream);
  if (error == hip::kSuccess) error = runtime.hipStreamSynchronize(stream);
  return error == hip::kSuccess ? nullptr : hip::text_of(error);
}

}  // namespace

std::string device_fault(int index) {
  const hip::Runtime& runtime = hip::runtime();
  if (!runtime.fault.empty()) return runtime.fault;
  int count = 0;
  if (const hip::Error error = runtime.hipGetDeviceCount(&count); error != hip::kSuccess)
    return hip::text_of(error);
  if (index < 0 || index >= count)
    return "there is no device " + std::to_string(index) + ", the machine has " +
           std::to_string(count);
  const CurrentDevice current(index);
  return current.error() != nullptr ? current.error() : hip::load_modules(index);
}

const char* read_device(void* to, const void* from, size_t bytes, void* stream) {
  return copy(to, from, bytes, hip::kDeviceToHost, stream);
}
const char* write_device(void* to, const void* from, size_t bytes, void* stream) {
  return copy(to, from, bytes, hip::kHostToDevice, stream);
}

bool wgmma_available() {
  return false;
}

CurrentDevice::CurrentDevice(int index) {
  const hip::Runtime& runtime = hip::runtime();
  if (!runtime.fault.empty()) {
    error_ = runtime.fault.c_str();
    return;
  }
  int before = -1;
  hip::Error error = runtime.hipGetDevice(&before);
  if (error == hip::kSuccess && before == index) return;
  if (error == hip::kSuccess) error = runtime.hipSetDevice(index);
  if (error == hip::kSuccess)
    before_ = before;
  else
    error_ = hip::text_of(error);
}
CurrentDevice::~CurrentDevice() {
  if (before_ >= 0) hip::runtime().hipSetDevice(before_);
}

StreamMemory::StreamMemory(size_t bytes, void* stream) : stream_(stream) {
  if (bytes == 0) return;
  const hip::Error error = hip::runtime().hipMallocAsync(&data_, bytes, stream);
  if (error != hip::kSuccess) error_ = hip::text_of(error);
}
StreamMemory::~StreamMemory() {
  if (data_ != nullptr) hip::runtime().hipFreeAsync(data_, stream_);
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
