// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/gguf_levels.h"

#include <bit>

#include "kernels/cpu/gguf/block_io.h"
#include "kernels/device/dequantize.h"
#include "kernels/device/formats/gguf_levels.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const int8_t* values_of_codes(GgufType type) {
  switch (type) {
    case GgufType::iq4_nl:
    case GgufType::iq4_xs:
      return kIq4Values;
    case GgufType::mxfp4:
    case GgufType::nvfp4:
      return kFp4Values;
    default:
      return nullptr;
  }
}

GgufLevelsWeight kernel_weight(const GgufTensor& weight, const GgufTypeShape& shape) {
  GgufLevelsWeight out{weight.rows,
                       weight.columns,
                       weight.blocks,
                       weight.type,
                       static_cast<uint32_t>(std::countr_zero(shape.block_elements)),
                       shape.block_bytes,
                       shape.shifted,
                       false,
                       {}};
  if (const int8_t* values = values_of_codes(weight.type)) {
    out.looked_up = true;
    memcpy(out.values, values, sizeof out.values);
  }
  return out;
}

// body(Format{}).
template <class Body>
const char* with_family(GgufType type, Body body) {
  if (type < GgufType::q2_k) return body(GgufLevels<GgufSmallBlocks>{});
  if (type < GgufType::iq1_s) return body(GgufLevels<GgufKQuants>{});
  return body(GgufLevels<GgufLattices>{});
}

}  // namespace

const char* dequantize_gguf_levels(const GgufTensor& weight, const GgufTypeShape& shape,
                                   WeightType out_type, void* out, void* stream) {
  return with_family(weight.type, [&](auto format) {
    return with_element(out_type, [&](auto element) {
      using Element = decltype(element);
      return launch_dequantize<decltype(format)>(kernel_weight(weight, shape),
                                                 static_cast<Element*>(out), stream);
    });
  });
}

const char* linear_gguf_levels(const GgufTensor& weight, const GgufTypeShape& shape,
                               WeightType activation, const void* x, const void* bias, void* y,
                               uint32_t m, void* stream) {
  return with_family(weight.type, [&](auto format) {
    return launch_linear<decltype(format)>(kernel_weight(weight, shape), activation, x, bias, y, m,
                                           stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
