// Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/gguf.h"

#include "kernels/device/dequantize.h"
#include "kernels/device/formats/gguf_blocks.h"
#include "kernels/device/quantize_gguf.h"
#include "kernels/device/quantize_q4_k.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// body(Format{}), when rows of the weight are whole blocks.
template <class Body>
const char* with_format(const GgufTensor& weight, Body body) {
  const uint32_t block = weight.type == GgufType::q4_k ? 256 : 32;
  if (weight.columns % block != 0) return "gguf: a row is a whole number of blocks";
  switch (weight.type) {
    case GgufType::q8_0:
      return body(Q8_0{});
    case GgufType::q4_0:
      return body(Q4_0{});
    case GgufType::q4_k:
      return body(Q4_K{});
  }
  return "gguf: unknown type";
}

}  // namespace

const char* quantize_gguf(GgufType type, WeightType matrix_type, const void* matrix, uint32_t rows,
                          uint32_t columns, uint8_t* blocks, void* stream) {
  const uint64_t count = uint64_t{rows} * columns;
  if (count == 0) return nullptr;
  if (columns % (type == GgufType::q4_k ? 256 : 32) != 0)
    return "gguf: a row is a whole number of blocks";
  return with_element(matrix_type, [&](auto element) -> const char* {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(matrix);
    switch (type) {
      case GgufType::q8_0:
        return launch_quantize_gguf<EncodeQ8_0>(values, count / 32, blocks, stream);
      case GgufType::q4_0:
        return launch_quantize_gguf<EncodeQ4_0>(values, count / 32, blocks, stream);
      case GgufType::q4_k:
        return launch_quantize_q4_k(values, count / 256, blocks, stream);
    }
    return "gguf: unknown type";
  });
}

const char* dequantize_gguf(const GgufTensor& weight, WeightType out_type, void* out,
                            void* stream) {
  return with_format(weight, [&](auto format) {
    using Format = decltype(format);
    return with_element(out_type, [&](auto element) {
      using Element = decltype(element);
      return launch_dequantize<Format>(GgufWeight{weight.rows, weight.columns, weight.blocks},
                                       static_cast<Element*>(out), stream);
    });
  });
}

const char* linear_gguf(const GgufTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream) {
  return with_format(weight, [&](auto format) {
    using Format = decltype(format);
    return launch_linear<Format>(GgufWeight{weight.rows, weight.columns, weight.blocks}, activation,
                                 x, bias, y, m, stream);
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
