// NF4, FP4 and LLM.int8() on devices.
#pragma once

#include <precis/plugin.hpp>

#include "plugins/bitsandbytes/config.h"

namespace precis::bitsandbytes {

// One back end's functions, each the counterpart of the quantizer's of that name for tensors in
// device memory. Work goes to the call's stream; the blocks' maxima of double quantization and the
// JSON of a quant_state pass through the host, for which quantize, dequantize and prepare wait.
struct DeviceMethods {
  int32_t type;  // of precis_device
  std::string (*fault)(int32_t index);

  void (*quantize_four_bit)(const precis_call& call, const Config& config,
                            const precis_param& param, const precis_tensor& weight,
                            const sdk::Parts& parts);
  void (*dequantize_four_bit)(const precis_call& call, const precis_param& param,
                              const sdk::ConstParts& parts, int64_t row_begin,
                              precis_tensor& weight);
  // packed: float32 [blocks], where the maxima of the blocks are quantized themselves.
  std::unique_ptr<sdk::Linear> (*prepare_four_bit)(const precis_call& call,
                                                   const precis_linear_options& options,
                                                   const precis_param& param,
                                                   const sdk::ConstParts& parts,
                                                   const sdk::Parts& packed);

  void (*quantize_eight_bit)(const precis_call& call, const precis_param& param,
                             const precis_tensor& weight, const sdk::Parts& parts);
  void (*dequantize_eight_bit)(const precis_call& call, const precis_param& param,
                               const sdk::ConstParts& parts, int64_t row_begin,
                               precis_tensor& weight);
  uint64_t (*eight_bit_workspace)(const precis_linear_options& options, const precis_param& param);
  std::unique_ptr<sdk::Linear> (*prepare_eight_bit)(const precis_call& call,
                                                    const precis_linear_options& options,
                                                    const precis_param& param, float threshold,
                                                    const sdk::ConstParts& parts);
};

// Those of this build; empty without nvcc.
const std::vector<const DeviceMethods*>& device_methods();

namespace device_cuda {
const DeviceMethods& methods();
}
namespace device_simt {
const DeviceMethods& methods();
}

}  // namespace precis::bitsandbytes
