// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/decoders.h"

#include "kernels/device/dequantize_elements.h"
#include "kernels/device/dequantize_experts.h"
#include "kernels/device/formats/spqr_elements.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

const char* dequantize_experts(const uint8_t* blocks, const uint8_t* scales, uint32_t experts,
                               uint32_t rows, uint32_t columns, WeightType out_type, void* out,
                               void* stream) {
  if (columns % 32 != 0) return "mxfp4: in_features is a multiple of 32";
  return with_element(out_type, [&](auto element) {
    return launch_dequantize_experts(ExpertsWeight{rows, columns, blocks, scales}, experts,
                                     static_cast<decltype(element)*>(out), stream);
  });
}

const char* dequantize_spqr(const SpqrTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  return with_element(out_type, [&](auto element) {
    return launch_dequantize_elements<SpqrElements>(weight, static_cast<decltype(element)*>(out),
                                                    stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
