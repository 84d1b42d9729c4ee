#include "kernels/cpu/common/dispatch.h"

#include "kernels/cpu/gguf/codecs.h"

namespace precis::kernels {

PRECIS_DISPATCH(GgufCodecList, gguf_codecs)
PRECIS_DISPATCH_DOT(GgufDecoding, gguf_decoding)

void gguf_dequantize(Isa isa, const GgufCodec& codec, const uint8_t* blocks, uint64_t count,
                     WeightType type, void* out) {
  gguf_decoding(isa).decode(codec, blocks, count, type, out);
}

GgufDecodeBfloat16* gguf_decode_bfloat16(Isa isa, const GgufCodec& codec) {
  return gguf_decoding(isa).decode_bfloat16(codec.name);
}

const GgufCodec* gguf_codec(Isa isa, std::string_view name) {
  const GgufCodecList& list = gguf_codecs(isa);
  for (uint64_t i = 0; i < list.count; ++i) {
    if (list.codecs[i].name == name) return &list.codecs[i];
  }
  return nullptr;
}

uint64_t gguf_codec_count() {
  return gguf_codecs(Isa::baseline).count;
}

const GgufCodec& gguf_codec_at(Isa isa, uint64_t index) {
  return gguf_codecs(isa).codecs[index];
}

}  // namespace precis::kernels
