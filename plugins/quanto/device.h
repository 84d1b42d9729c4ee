// optimum-quanto's weights on devices.
#pragma once

#include <precis/plugin.hpp>

#include "plugins/quanto/config.h"

namespace precis::quanto {

// One back end's functions, each the counterpart of the quantizer's of that name for tensors in
// device memory; work goes to the call's stream.
struct DeviceMethods {
  int32_t type;  // of precis_device
  std::string (*fault)(int32_t index);

  void (*quantize)(const precis_call& call, const Config& config, const precis_param& param,
                   const precis_tensor& weight, const sdk::Parts& parts);
  void (*dequantize)(const precis_call& call, const Config& config, const precis_param& param,
                     const sdk::ConstParts& parts, int64_t row_begin, precis_tensor& weight);
  void (*plan_linear)(const precis_linear_options& options, const Config& config,
                      const precis_param& param, sdk::PlanWriter& plan);
  std::unique_ptr<sdk::Linear> (*prepare)(const precis_call& call,
                                          const precis_linear_options& options,
                                          const Config& config, const precis_param& param,
                                          const sdk::ConstParts& parts, const sdk::Parts& packed);
};

// Those of this build; empty without nvcc.
const std::vector<const DeviceMethods*>& device_methods();

namespace device_cuda {
const DeviceMethods& methods();
}
namespace device_simt {
const DeviceMethods& methods();
}

}  // namespace precis::quanto
