// AMD's runtime, libamdhip64.so, looked for when it is first called: what is linked with this loads
// on a machine that has none, and no header of ROCm is needed.
#pragma once

#include <cstddef>
#include <string>

namespace precis::kernels::hip {

// As HIP's header has them (runtime_header_test.cpp).
using Error = int;
inline constexpr Error kSuccess = 0, kInvalidDeviceFunction = 98, kNoBinaryForGpu = 209;
inline constexpr int kHostToDevice = 1, kDeviceToHost = 2;
using Stream = void*;
using Module = void*;
using Function = void*;

// What is called of it, in every release since 5.2: name, result, parameters.
#define PRECIS_HIP_FUNCTIONS(X)                                                                   \
  X(hipGetDeviceCount, Error, (int* count))                                                       \
  X(hipGetDevice, Error, (int* device))                                                           \
  X(hipSetDevice, Error, (int device))                                                            \
  X(hipDeviceGetName, Error, (char* name, int size, int device))                                  \
  X(hipGetErrorString, const char*, (Error error))                                                \
  X(hipGetLastError, Error, ())                                                                   \
  X(hipMalloc, Error, (void** memory, size_t bytes))                                              \
  X(hipFree, Error, (void* memory))                                                               \
  X(hipMallocAsync, Error, (void** memory, size_t bytes, Stream stream))                          \
  X(hipFreeAsync, Error, (void* memory, Stream stream))                                           \
  X(hipMemcpyAsync, Error, (void* to, const void* from, size_t bytes, int kind, Stream stream))   \
  X(hipStreamSynchronize, Error, (Stream stream))                                                 \
  X(hipModuleLoadData, Error, (Module * module, const void* image))                               \
  X(hipModuleGetFunction, Error, (Function * function, Module module, const char* name))          \
  X(hipModuleLaunchKernel, Error,                                                                 \
    (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,      \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void** parameters, \
     void** extra))

struct Runtime {
#define PRECIS_HIP_MEMBER(name, Result, parameters) Result(*name) parameters = nullptr;
  PRECIS_HIP_FUNCTIONS(PRECIS_HIP_MEMBER)
#undef PRECIS_HIP_MEMBER
  // Empty: the functions are there. Else why not, and they are null.
  std::string fault;
};

// Loads it at the first call; one that the process has already, as LibTorch's for ROCm, is taken
// before the system's. [any thread]
const Runtime& runtime();

// The runtime's text for an error that it returned, which it then forgets: it would meet whoever
// asks next. Not when runtime() has a fault.
const char* text_of(Error error);

}  // namespace precis::kernels::hip
