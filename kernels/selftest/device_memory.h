// Memory of the back end at hand, as the self-test uses it.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/device/runtime.h"

namespace precis::kernels::PRECIS_DEVICE {

#if defined(PRECIS_DEVICE_SIMT)

inline void* allocate(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) throw std::bad_alloc();
  return memory;
}
inline void release(void* memory) {
  std::free(memory);
}
inline void copy_to_device(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
inline void copy_to_host(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

#elif defined(__CUDACC__)

inline void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}
inline void* allocate(size_t bytes) {
  void* memory = nullptr;
  require(cudaMalloc(&memory, bytes > 0 ? bytes : 1));
  return memory;
}
inline void release(void* memory) {
  cudaFree(memory);
}
inline void copy_to_device(void* to, const void* from, size_t bytes) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
}
inline void copy_to_host(void* to, const void* from, size_t bytes) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}

#endif

// An array on the device, of exactly its size. Throws std::runtime_error where the runtime fails.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count)
      : count_(count), data_(static_cast<T*>(allocate(count * sizeof(T)))) {}
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    copy_to_device(data_, values.data(), count_ * sizeof(T));
  }
  ~DeviceArray() { release(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> host(count_);
    copy_to_host(host.data(), data_, count_ * sizeof(T));
    return host;
  }

 private:
  size_t count_;
  T* data_;
};

}  // namespace precis::kernels::PRECIS_DEVICE
