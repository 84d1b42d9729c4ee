// Encoders of GGUF's block types. Compiled by every back end.
#include "kernels/device/runtime.h"

#include "kernels/device/gguf.h"
#include "kernels/device/quantize_gguf.h"
#include "kernels/device/quantize_gguf_64.h"
#include "kernels/device/quantize_gguf_k.h"
#include "kernels/device/quantize_gguf_signs.h"
#include "kernels/device/quantize_gguf_values.h"
#include "kernels/device/quantize_q4_k.h"
#include "kernels/device/typed.h"

namespace precis::kernels::PRECIS_DEVICE {

const char* quantize_gguf(GgufType type, WeightType matrix_type, const void* matrix, uint32_t rows,
                          uint32_t columns, uint8_t* blocks, void* stream) {
  const uint64_t count = uint64_t{rows} * columns;
  if (count == 0) return nullptr;
  if (columns % gguf_type_at(static_cast<uint32_t>(type)).block_elements != 0)
    return "gguf: a row is a whole number of blocks";
  return with_element(matrix_type, [&](auto element) -> const char* {
    using Element = decltype(element);
    const auto* values = static_cast<const Element*>(matrix);
    const auto of_warps = [&](auto encoder) {
      return launch_quantize_gguf<decltype(encoder)>(values, count / 32, blocks, stream);
    };
    const auto of_sub_blocks = [&](auto encoder) {
      return launch_quantize_sub_blocks<decltype(encoder)>(
          values, count / decltype(encoder)::kElements, blocks, stream);
    };
    switch (type) {
      case GgufType::f16:
        return launch_convert_gguf<Half>(values, count, blocks, stream);
      case GgufType::bf16:
        return launch_convert_gguf<BFloat16>(values, count, blocks, stream);
      case GgufType::q8_0:
        return of_warps(EncodeQ8_0{});
      case GgufType::q4_0:
        return of_warps(EncodeSymmetric<8>{});
      case GgufType::q5_0:
        return of_warps(EncodeSymmetric<16>{});
      case GgufType::q4_1:
        return of_warps(EncodeAffine<15>{});
      case GgufType::q5_1:
        return of_warps(EncodeAffine<31>{});
      case GgufType::mxfp4:
        return of_warps(EncodeMxfp4{});
      case GgufType::q4_k:
        return launch_quantize_q4_k(values, count / 256, blocks, stream);
      case GgufType::q2_k:
        return of_sub_blocks(EncodeQ2K{});
      case GgufType::q3_k:
        return of_sub_blocks(EncodeQ3K{});
      case GgufType::q5_k:
        return of_sub_blocks(EncodeQ5K{});
      case GgufType::q6_k:
        return of_sub_blocks(EncodeQ6K{});
      case GgufType::iq4_nl:
        return of_sub_blocks(EncodeIq4Nl{});
      case GgufType::iq4_xs:
        return of_sub_blocks(EncodeIq4Xs{});
      case GgufType::tq1_0:
        return of_sub_blocks(EncodeTq1_0{});
      case GgufType::tq2_0:
        return of_sub_blocks(EncodeTq2_0{});
      case GgufType::nvfp4:
        return of_sub_blocks(EncodeNvFp4{});
      case GgufType::q2_0:
        return of_sub_blocks(EncodeQ2_0{});
      case GgufType::q1_0:
        return launch_quantize_signs(values, count / SignBlock::kElements, blocks, stream);
      default:
        return "gguf: this type is encoded on the CPU";
    }
  });
}

}  // namespace precis::kernels::PRECIS_DEVICE
