// The entry points of every block type in one instruction set's namespace; gguf.h has their
// contract.
#pragma once

#include "kernels/cpu/gguf/gguf.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#define PRECIS_GGUF_DECODER(type) \
  void decode_##type(const uint8_t* block, uint64_t count, float* out);
#define PRECIS_GGUF_ENCODER(type) \
  void encode_##type(const float* row, uint64_t columns, const float* importance, uint8_t* blocks);
#define PRECIS_GGUF_CODEC(type) PRECIS_GGUF_DECODER(type) PRECIS_GGUF_ENCODER(type)

PRECIS_GGUF_CODEC(f16)
PRECIS_GGUF_CODEC(bf16)
PRECIS_GGUF_CODEC(q4_0)
PRECIS_GGUF_CODEC(q4_1)
PRECIS_GGUF_CODEC(q5_0)
PRECIS_GGUF_CODEC(q5_1)
PRECIS_GGUF_CODEC(q8_0)
PRECIS_GGUF_CODEC(q2_k)
PRECIS_GGUF_CODEC(q3_k)
PRECIS_GGUF_CODEC(q4_k)
PRECIS_GGUF_CODEC(q5_k)
PRECIS_GGUF_CODEC(q6_k)
PRECIS_GGUF_CODEC(iq4_nl)
PRECIS_GGUF_CODEC(iq4_xs)
PRECIS_GGUF_CODEC(tq1_0)
PRECIS_GGUF_CODEC(tq2_0)
PRECIS_GGUF_CODEC(mxfp4)
PRECIS_GGUF_CODEC(nvfp4)
PRECIS_GGUF_CODEC(q1_0)
PRECIS_GGUF_CODEC(q2_0)
PRECIS_GGUF_CODEC(iq1_s)
PRECIS_GGUF_CODEC(iq1_m)
PRECIS_GGUF_CODEC(iq2_xxs)
PRECIS_GGUF_CODEC(iq2_xs)
PRECIS_GGUF_CODEC(iq2_s)
PRECIS_GGUF_CODEC(iq3_xxs)
PRECIS_GGUF_CODEC(iq3_s)

// Null: there is none.
GgufDecodeBfloat16* bfloat16_decoder(std::string_view name);

#undef PRECIS_GGUF_CODEC
#undef PRECIS_GGUF_ENCODER
#undef PRECIS_GGUF_DECODER

}  // namespace PRECIS_ISA

// gguf_dequantize and gguf_decode_bfloat16 of one instruction set.
struct GgufDecoding {
  void (*decode)(const GgufCodec& codec, const uint8_t* blocks, uint64_t count, WeightType type,
                 void* out);
  GgufDecodeBfloat16* (*decode_bfloat16)(std::string_view name);
};

// All codecs of one instruction set.
struct GgufCodecList {
  const GgufCodec* codecs;
  uint64_t count;
};

}  // namespace precis::kernels
