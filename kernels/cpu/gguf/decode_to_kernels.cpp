// Decoding into the caller's number type. Compiled once for each instruction set.
#include "kernels/cpu/common/decode_rows.h"
#include "kernels/cpu/common/output.h"
#include "kernels/cpu/gguf/codecs.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode_lines(const GgufCodec& codec, GgufDecodeBfloat16* decode_blocks, const uint8_t* blocks,
                  uint64_t count, uint16_t* out) {
  decode_lines_to(out, count * codec.block_size, codec.block_size,
                  [&](uint64_t begin, uint64_t end, uint16_t* numbers) {
                    decode_blocks(blocks + begin / codec.block_size * codec.block_bytes,
                                  (end - begin) / codec.block_size, numbers);
                  });
}

void decode(const GgufCodec& codec, const uint8_t* blocks, uint64_t count, WeightType type,
            void* out) {
  GgufDecodeBfloat16* direct = bfloat16_decoder(codec.name);
  if (type == WeightType::bf16 && direct != nullptr)
    return decode_lines(codec, direct, blocks, count, static_cast<uint16_t*>(out));
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    decode_to<Type>(static_cast<typename Type::Stored*>(out), count * codec.block_size,
                    codec.block_size, [&](uint64_t begin, uint64_t end, float* values) {
                      codec.dequantize(blocks + begin / codec.block_size * codec.block_bytes,
                                       (end - begin) / codec.block_size, values);
                    });
  });
}

}  // namespace

const GgufDecoding& gguf_decoding() {
  static constexpr GgufDecoding decoding{decode, bfloat16_decoder};
  return decoding;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
