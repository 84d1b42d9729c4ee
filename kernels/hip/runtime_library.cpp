#include "kernels/hip/runtime_library.h"

#include <dlfcn.h>

namespace precis::kernels::hip {
namespace {

constexpr const char* kNames[] = {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5",
                                  "libamdhip64.so"};

void* open_library() {
  for (const int already_loaded : {RTLD_NOLOAD, 0}) {
    for (const char* name : kNames) {
      if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL | already_loaded)) return library;
    }
  }
  return nullptr;
}

Runtime load() {
  Runtime loaded;
  void* const library = open_library();
  if (library == nullptr) {
    loaded.fault = "AMD's HIP runtime (libamdhip64.so, of ROCm 5 to 7) was not found";
    return loaded;
  }
  const auto find = [&](const char* name) {
    void* const function = dlsym(library, name);
    if (function == nullptr && loaded.fault.empty())
      loaded.fault = std::string("AMD's HIP runtime has no ") + name + ": it is older than 5.2";
    return function;
  };
#define PRECIS_HIP_FIND(name, Result, parameters) \
  loaded.name = reinterpret_cast<decltype(loaded.name)>(find(#name));
  PRECIS_HIP_FUNCTIONS(PRECIS_HIP_FIND)
#undef PRECIS_HIP_FIND
  return loaded;
}

}  // namespace

const Runtime& runtime() {
  static const Runtime loaded = load();
  return loaded;
}

const char* text_of(Error error) {
  runtime().hipGetLastError();
  return runtime().hipGetErrorString(error);
}

}  // namespace precis::kernels::hip
