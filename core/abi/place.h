// Where a call into a plugin works.
#pragma once

#include "precis/call.h"
#include "precis/tensor.h"

namespace precis {

inline constexpr precis_device kCpuDevice{PRECIS_DEVICE_CPU, 0};

// Where the tensors of a call are, and the stream of that device which the work goes to.
struct Place {
  precis_device device = kCpuDevice;
  void* stream = nullptr;  // null on the CPU
  bool capturing = false;  // the stream records a graph: the call may not wait for it
};

}  // namespace precis
