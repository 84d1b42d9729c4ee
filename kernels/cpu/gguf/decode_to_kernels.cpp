// Decoding into the caller's number type. Compiled once for each instruction set.
#include "kernels/cpu/common/decode_rows.h"
#include "kernels/cpu/common/output.h"
#include "kernels/cpu/gguf/codecs.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode(const GgufCodec& codec, const uint8_t* blocks, uint64_t count, WeightType type,
            void* out) {
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
  static constexpr GgufDecoding decoding{decode};
  return decoding;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
