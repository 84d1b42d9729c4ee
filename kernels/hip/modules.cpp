#include "kernels/hip/modules.h"

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/hip/runtime_library.h"

namespace precis::kernels::hip {
namespace {

// What clang's objects hold for each source.
struct FatBinary {
  uint32_t magic, version;
  const void* bundle;
  void* unused;
};

struct Kernel {
  const char* name;
  std::size_t source;
  std::map<int, Function> functions = {};  // by device
};

// [any thread]
class Modules {
 public:
  std::size_t add_source(const void* bundle) {
    const std::lock_guard lock(mutex_);
    sources_.push_back({bundle, {}});
    return sources_.size() - 1;
  }

  void add_kernel(std::size_t source, const void* handle, const char* name) {
    const std::lock_guard lock(mutex_);
    kernels_.insert_or_assign(handle, Kernel{name, source});
  }

  std::string load(int device) {
    const std::lock_guard lock(mutex_);
    for (Source& source : sources_) {
      if (source.modules.contains(device)) continue;
      Module module = nullptr;
      const Error error = runtime().hipModuleLoadData(&module, source.bundle);
      if (error == kNoBinaryForGpu) {
        text_of(error);
        return "this build holds no code for it";
      }
      if (error != kSuccess) return text_of(error);
      source.modules.emplace(device, module);
    }
    return "";
  }

  Error launch(const void* handle, const unsigned (&grid)[3], const unsigned (&block)[3],
               unsigned shared_bytes, Stream stream, void** arguments) {
    int device = 0;
    Error error = runtime().hipGetDevice(&device);
    if (error != kSuccess) return error;
    Function function = nullptr;
    error = find(handle, device, function);
    if (error != kSuccess) return error;
    return runtime().hipModuleLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1],
                                           block[2], shared_bytes, stream, arguments, nullptr);
  }

  std::vector<RegisteredKernel> kernels() {
    const std::lock_guard lock(mutex_);
    std::vector<RegisteredKernel> list;
    for (const auto& [handle, kernel] : kernels_)
      list.push_back({kernel.name, sources_[kernel.source].bundle});
    return list;
  }

 private:
  struct Source {
    const void* bundle;
    std::map<int, Module> modules;  // by device
  };

  Error find(const void* handle, int device, Function& function) {
    const std::lock_guard lock(mutex_);
    const auto found = kernels_.find(handle);
    if (found == kernels_.end()) return kInvalidDeviceFunction;
    Kernel& kernel = found->second;
    if (const auto known = kernel.functions.find(device); known != kernel.functions.end()) {
      function = known->second;
      return kSuccess;
    }
    const auto& modules = sources_[kernel.source].modules;
    const auto module = modules.find(device);
    if (module == modules.end()) return kInvalidDeviceFunction;
    const Error error = runtime().hipModuleGetFunction(&function, module->second, kernel.name);
    if (error == kSuccess) kernel.functions.emplace(device, function);
    return error;
  }

  std::mutex mutex_;
  std::deque<Source> sources_;
  std::map<const void*, Kernel> kernels_;
};

// Never destroyed: code is unloaded with the process, whose end may find the runtime gone.
Modules& modules() {
  static auto* const instance = new Modules;
  return *instance;
}

// The numbers between <<< and >>>, until the function that clang makes of a kernel launches it.
struct Configuration {
  unsigned grid[3], block[3];
  size_t shared_bytes;
  Stream stream;
};
thread_local Configuration pending{};
thread_local Error last_error = kSuccess;

struct Dim3 {
  unsigned x, y, z;
};

}  // namespace

std::string load_modules(int device) {
  return modules().load(device);
}

std::vector<RegisteredKernel> registered_kernels() {
  return modules().kernels();
}

// What clang's host code calls. Hidden, so that a process with AMD's runtime has both.
extern "C" {

void** __hipRegisterFatBinary(const void* binary) {
  const auto* found = static_cast<const FatBinary*>(binary);
  return reinterpret_cast<void**>(modules().add_source(found->bundle) + 1);
}

void __hipRegisterFunction(void** source, const void* handle, char*, const char* name, unsigned,
                           void*, void*, void*, void*, int*) {
  modules().add_kernel(reinterpret_cast<std::size_t>(source) - 1, handle, name);
}

void __hipUnregisterFatBinary(void**) {}

Error __hipPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared_bytes, Stream stream) {
  pending = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes, stream};
  return kSuccess;
}

Error __hipPopCallConfiguration(Dim3* grid, Dim3* block, size_t* shared_bytes, Stream* stream) {
  *grid = {pending.grid[0], pending.grid[1], pending.grid[2]};
  *block = {pending.block[0], pending.block[1], pending.block[2]};
  *shared_bytes = pending.shared_bytes;
  *stream = pending.stream;
  return kSuccess;
}

Error hipLaunchKernel(const void* kernel, Dim3 grid, Dim3 block, void** arguments,
                      size_t shared_bytes, Stream stream) {
  last_error = runtime().fault.empty()
                   ? modules().launch(kernel, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z},
                                      static_cast<unsigned>(shared_bytes), stream, arguments)
                   : kInvalidDeviceFunction;
  return last_error;
}

Error hipGetLastError() {
  return std::exchange(last_error, kSuccess);
}

const char* hipGetErrorString(Error error) {
  return runtime().fault.empty() ? text_of(error) : runtime().fault.c_str();
}

}  // extern "C"

}  // namespace precis::kernels::hip
