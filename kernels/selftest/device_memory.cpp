// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/selftest/device_memory.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/device/host_runtime.h"
#if defined(__HIP__)
#include "kernels/hip/runtime_library.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {

#if defined(PRECIS_DEVICE_SIMT)

std::string device_name() {
  return "the executor on the CPU";
}
void* allocate(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) throw std::bad_alloc();
  return memory;
}
void release(void* memory) {
  std::free(memory);
}
Copies& copies() {
  static Copies all;
  return all;
}
// The bytes are the lowest of a number of 8 bytes and the highest of a float; or have two codes of
// 4 bits each.
void copy_to_device(void* to, const void* from, size_t bytes, Content content) {
  if (bytes == 0) return;
  std::memcpy(to, from, bytes);
  if (content == Content::places || copies().count++ != copies().spoiled) return;
  const size_t word = bytes / 2 / 8 * 8;
  for (const size_t byte : {word, word + 3 < bytes ? word + 3 : bytes - 1})
    static_cast<unsigned char*>(to)[byte] ^= 0x88;
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

std::string device_name() {
  if (const std::string fault = device_fault(0); !fault.empty()) throw std::runtime_error(fault);
  cudaDeviceProp properties;
  require(cudaGetDeviceProperties(&properties, 0));
  return std::string(properties.name) + ", sm_" + std::to_string(properties.major) +
         std::to_string(properties.minor);
}
void* allocate(size_t bytes) {
  void* memory = nullptr;
  require(cudaMalloc(&memory, bytes > 0 ? bytes : 1));
  return memory;
}
void release(void* memory) {
  cudaFree(memory);
}
void copy_to_device(void* to, const void* from, size_t bytes, Content) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  require(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}

#elif defined(__HIP__)

namespace {

void require(const char* error) {
  if (error != nullptr) throw std::runtime_error(error);
}
void require(hip::Error error) {
  if (error != hip::kSuccess) require(hip::text_of(error));
}

}  // namespace

std::string device_name() {
  if (const std::string fault = device_fault(0); !fault.empty()) throw std::runtime_error(fault);
  char name[256] = {};
  require(hip::runtime().hipDeviceGetName(name, sizeof name - 1, 0));
  return name;
}
void* allocate(size_t bytes) {
  void* memory = nullptr;
  require(hip::runtime().hipMalloc(&memory, bytes > 0 ? bytes : 1));
  return memory;
}
void release(void* memory) {
  hip::runtime().hipFree(memory);
}
void copy_to_device(void* to, const void* from, size_t bytes, Content) {
  require(write_device(to, from, bytes, nullptr));
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  require(read_device(to, from, bytes, nullptr));
}

#endif

}  // namespace precis::kernels::PRECIS_DEVICE
