// Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/integer_k_blocks.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GgufWeight*>(format);
  const GgufCodec& codec = *weight.codec;
  const uint8_t* blocks =
      weight.blocks + row * weight.row_bytes + begin / codec.block_size * codec.block_bytes;
  const uint64_t count = (end - begin) / codec.block_size;
  if (weight.out_type == WeightType::f32)
    return codec.dequantize(blocks, count, static_cast<float*>(out));
  if (weight.decode_bfloat16 != nullptr)
    return weight.decode_bfloat16(blocks, count, static_cast<uint16_t*>(out));
  alignas(64) float strip[kStrip];
  codec.dequantize(blocks, count, strip);
  put<BF16>(strip, end - begin, static_cast<uint16_t*>(out), false);
}

template <typename Type>
void decode_codes(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint8_t* codes,
                  float* scales, float* minimums) {
  const auto& weight = *static_cast<const GgufWeight*>(format);
  const uint8_t* block =
      weight.blocks + row * weight.row_bytes + begin / Type::kSize * Type::kBytes;
  for (uint64_t i = begin; i < end; i += Type::kSize) {
    Type::decode(block, codes, scales, minimums);
    block += Type::kBytes;
    codes += Type::kSize;
    scales += Type::kSize / Type::kBlock;
    minimums += Type::kSize / Type::kBlock;
  }
}

template <typename Type>
constexpr GgufIntegerType integer_type(std::string_view name) {
  return {name, Type::kBlock, Type::kOffset, Type::kMinimums, decode_codes<Type>};
}
constexpr GgufIntegerType kIntegerTypes[] = {
    integer_type<integers::Q40>("q4_0"),     integer_type<integers::Q41>("q4_1"),
    integer_type<integers::Q50>("q5_0"),     integer_type<integers::Q51>("q5_1"),
    integer_type<integers::Q80>("q8_0"),     integer_type<integers::Q2K>("q2_k"),
    integer_type<integers::Q3K>("q3_k"),     integer_type<integers::Q4K>("q4_k"),
    integer_type<integers::Q5K>("q5_k"),     integer_type<integers::Q6K>("q6_k"),
    integer_type<integers::Iq4Nl>("iq4_nl"), integer_type<integers::Iq4Xs>("iq4_xs"),
    integer_type<integers::Mxfp4>("mxfp4"),  integer_type<integers::Tq20>("tq2_0")};

}  // namespace

const GgufLinearKernels& gguf_linear_kernels() {
  static const GgufLinearKernels kernels{
      decode_floats,
      kIntegerTypes,
      {gguf_row_dots(), gguf_lattice_row_dots(), gguf_other_row_dots()},
      {gguf_code_dots(), gguf_lattice_code_dots()}};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
