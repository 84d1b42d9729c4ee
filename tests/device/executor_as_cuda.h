// A CUDA device of torch's that is none: its memory is the host's, its operations are those of the
// CPU, and its stream has a handle of its own. For tests with a LibTorch for the CPU, beside
// plugins whose executor (kernels/simt) takes a CUDA device's place: the code that such tests run
// is the code that runs on a GPU.
//
// An operation whose tensors are not all on the device (but for numbers, of no dimension) throws,
// as torch's own does.
#pragma once

#include "core/engine/method_resolver.h"

namespace precis {

// What the device's stream has for a handle.
void* executor_stream();

// While it lives, the stream says that a graph of its work is being captured.
class Capture {
 public:
  Capture();
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
};

// The plugin that is linked into the test, its first method, by configs in JSON.
MethodResolver& linked_plugin();

}  // namespace precis
