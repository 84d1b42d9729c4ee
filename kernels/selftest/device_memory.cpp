// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/selftest/device_memory.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace precis::kernels::PRECIS_DEVICE {

#if defined(PRECIS_DEVICE_SIMT)

void* allocate(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) throw std::bad_alloc();
  return memory;
}
void release(void* memory) {
  std::free(memory);
}
void copy_to_device(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

#elif defined(__CUDACC__)

namespace {

void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

}  // namespace

void* allocate(size_t bytes) {
  void* memory = nullptr;
  require(cudaMalloc(&memory, bytes > 0 ? bytes : 1));
  return memory;
}
void release(void* memory) {
  cudaFree(memory);
}
void copy_to_device(void* to, const void* from, size_t bytes) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
