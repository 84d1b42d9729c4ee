// The kernels that are linked into this binary, and their code on each device.
//
// Objects that clang compiles from HIP register their kernels when the binary is loaded, and launch
// them by hipLaunchKernel. Both are defined here: loading costs nothing, AMD's runtime is asked
// when a device is first used, and a device that there is no code for is an error to be returned,
// where the runtime's own registration may end the process.
#pragma once

#include <string>
#include <vector>

namespace precis::kernels::hip {

// Loads the code of every kernel for `device`, which is the thread's current one. Empty, or why it
// cannot be loaded. Not when runtime() has a fault. [any thread]
std::string load_modules(int device);

// A kernel with the bundle that its code should be in.
struct RegisteredKernel {
  std::string name;
  const void* bundle;
};
std::vector<RegisteredKernel> registered_kernels();

}  // namespace precis::kernels::hip
