// Memory of the back end at hand, as the self-test uses it. Checks that launch no kernels of their
// own need no compiler of devices: they are compiled with PRECIS_DEVICE defined as its namespace.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// Throw std::runtime_error where the runtime fails.

// Of device 0, "NVIDIA H100 80GB HBM3, sm_90"; with the reason when it cannot be used.
std::string device_name();
void* allocate(size_t bytes);
void release(void* memory);
// places: of what is somewhere else.
enum class Content { numbers, places };
void copy_to_device(void* to, const void* from, size_t bytes, Content content = Content::numbers);
void copy_to_host(void* to, const void* from, size_t bytes);

#if defined(PRECIS_DEVICE_SIMT)
// For tests of the checks: counts copies of numbers to the device, and spoils two bytes of one in
// the middle: of that whose number, from 0 on, is `spoiled`.
struct Copies {
  int count = 0, spoiled = -1;
};
Copies& copies();
#endif

// An array on the device, of exactly its size.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count)
      : count_(count), data_(static_cast<T*>(allocate(count * sizeof(T)))) {}
  explicit DeviceArray(const std::vector<T>& values, Content content = Content::numbers)
      : DeviceArray(values.size()) {
    copy_to_device(data_, values.data(), count_ * sizeof(T), content);
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
