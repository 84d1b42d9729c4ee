// GGUF's blocks on devices: q8_0, q4_0 and q4_k.
#pragma once

#include <precis/plugin.hpp>
#include <string_view>

namespace precis::gguf {

// One back end's functions for tensors in device memory; work goes to the call's stream. `type`: of
// a block, "q4_k".
struct DeviceMethods {
  int32_t type;  // of precis_device
  std::string (*fault)(int32_t index);

  bool (*knows)(std::string_view type);
  void (*quantize)(const precis_call& call, std::string_view type, const precis_param& param,
                   const precis_tensor& weight, const precis_tensor& blocks);
  // Whole blocks, from byte `first` of the part on, to all elements of `weight`.
  void (*dequantize)(const precis_call& call, std::string_view type, const precis_tensor& blocks,
                     uint64_t first, const precis_tensor& weight);
  std::unique_ptr<sdk::Linear> (*prepare)(const precis_linear_options& options,
                                          const precis_param& param, std::string_view type,
                                          const precis_tensor& blocks);
};

// Those of this build; empty without nvcc.
const std::vector<const DeviceMethods*>& device_methods();

// The usable one for a device and a type of block; throws PRECIS_UNSUPPORTED.
const DeviceMethods& device_methods(precis_device device, std::string_view type);

namespace device_cuda {
const DeviceMethods& methods();
}
namespace device_simt {
const DeviceMethods& methods();
}

}  // namespace precis::gguf
