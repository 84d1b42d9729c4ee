// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/decoders.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/dequantize_elements.h"
#include "kernels/device/dequantize_experts.h"
#include "kernels/device/formats/eetq_rows.h"
#include "kernels/device/formats/spqr_elements.h"
#include "kernels/device/formats/ternary_rows.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

const char* dequantize_eetq(const uint8_t* codes, const uint16_t* scales, uint32_t rows,
                            uint32_t columns, WeightType out_type, void* out, void* stream) {
  if (rows % 64 != 0 || columns % 64 != 0) return "eetq: rows and columns are multiples of 64";
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<EetqRows>({rows, columns, codes, scales},
                                       static_cast<decltype(element)*>(out), stream);
  });
}

const char* dequantize_ternary(const uint8_t* codes, float step, uint32_t rows, uint32_t columns,
                               WeightType out_type, void* out, void* stream) {
  if (rows % 4 != 0) return "ternary numbers: rows are a multiple of 4";
  return with_element(out_type, [&](auto element) {
    return launch_dequantize<TernaryRows>({rows, columns, codes, step},
                                          static_cast<decltype(element)*>(out), stream);
  });
}

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
