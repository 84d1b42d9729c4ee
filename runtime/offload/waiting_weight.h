// Weights that wait in the CPU's memory, or in a file, and are on a device while they are used.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <optional>

namespace precis {

// When a waiting weight comes to its device.
enum class Onload {
  by_layer,    // for every call of its layer through an AnyLayer
  by_network,  // while an Onloaded of its network lives
};

struct WaitingWeight {
  at::Tensor stored;  // the weight where it waits
  at::Device device;  // where it is used
  Onload onload;
  bool on_disk;  // its pages may leave memory after every use
};

// A tensor over the memory of weight.stored, contiguous and on the CPU, that waiting_weight()
// finds.
at::Tensor make_waiting(WaitingWeight weight);

// What make_waiting() was given for this tensor, or for one that it shares memory with; null for
// other tensors. Lives as long as that memory. [any thread]
const WaitingWeight* waiting_weight(const at::Tensor& tensor);

// Whether the process has ever made one: until then nobody need look.
bool any_waiting();

}  // namespace precis
