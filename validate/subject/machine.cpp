#include "validate/subject/machine.h"

#include <dlfcn.h>

#include "precis/base.h"

namespace precis::validate {
namespace {

// The drivers' own functions: no toolkit is needed to ask them.
uint32_t count(const char* library, const char* init, const char* get_count) {
  void* driver = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return 0;
  const auto begin = reinterpret_cast<int (*)(unsigned)>(::dlsym(driver, init));
  const auto ask = reinterpret_cast<int (*)(int*)>(::dlsym(driver, get_count));
  int devices = 0;
  if (begin == nullptr || ask == nullptr || begin(0) != 0 || ask(&devices) != 0) return 0;
  return devices > 0 ? static_cast<uint32_t>(devices) : 0;
}

}  // namespace

uint32_t devices_here(int32_t type) {
  if (type == PRECIS_DEVICE_CUDA) return count("libcuda.so.1", "cuInit", "cuDeviceGetCount");
  if (type == PRECIS_DEVICE_ROCM) return count("libamdhip64.so", "hipInit", "hipGetDeviceCount");
  return 0;
}

}  // namespace precis::validate
