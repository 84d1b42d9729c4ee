// What a host needs of a device besides kernels: whether it is there, small copies, and memory for
// the length of a call.
//
// Declared once for each back end, in its namespace; see kernels/device/bitsandbytes.h.
#pragma once

#include <cstddef>
#include <string>

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// Empty when device `index` can run the kernels of this build, else why it cannot: no driver, no
// such device, one too old, or one that this build holds no code for. Never fails otherwise.
// [any thread]
std::string device_fault(int index);

// Copies bytes behind what stands in `stream`, and waits until they have arrived. Null, or what
// went wrong.
const char* read_device(void* to, const void* from, size_t bytes, void* stream);
const char* write_device(void* to, const void* from, size_t bytes, void* stream);

// Whether the thread's current device has wgmma (compute capability 9.0); the executor, whether it
// is told so.
bool wgmma_available();
#if defined(PRECIS_DEVICE_SIMT)
bool& executor_has_wgmma();
#endif

// Makes device `index` the thread's current one while it lives.
class CurrentDevice {
 public:
  explicit CurrentDevice(int index);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  // Null, or why the device is not the current one.
  const char* error() const { return error_; }

 private:
  int before_ = -1;
  const char* error_ = nullptr;
};

// Memory of the thread's current device, behind what stands in `stream`, and given back behind what
// stands there when it goes: nobody waits.
class StreamMemory {
 public:
  StreamMemory(size_t bytes, void* stream);
  ~StreamMemory();
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;

  void* data() const { return data_; }
  // Null, or why there is none.
  const char* error() const { return error_; }

 private:
  void* data_ = nullptr;
  void* stream_;
  const char* error_ = nullptr;
};

}  // namespace precis::kernels::PRECIS_DEVICE
