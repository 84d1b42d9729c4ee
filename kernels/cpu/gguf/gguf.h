// GGUF's block types: encoding and decoding, bit for bit as ggml does (2026-08, ggml-quants.c,
// reference paths; no fused multiply-add).
//
// One difference is on purpose: where 32 zeros stand before other values of a block, ggml's IQ3_S
// encoder writes the codes and signs of what follows one place early, so that they decode to the
// wrong values. Here they stand where every decoder looks for them.
//
// All functions are re-entrant; callers split the work by rows or blocks.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct GgufCodec {
  std::string_view name;  // "q4_k"
  uint32_t block_size;    // elements
  uint32_t block_bytes;

  // Decodes `count` blocks to count * block_size float32.
  void (*dequantize)(const uint8_t* blocks, uint64_t count, float* out);

  // Encodes one row of `columns` float32, a multiple of block_size. importance: one float32 a
  // column, not negative; null when there is none, which needs_importance forbids.
  void (*quantize)(const float* row, uint64_t columns, const float* importance, uint8_t* blocks);

  // ggml encodes the type with an importance matrix only (ggml_quantize_requires_imatrix).
  bool needs_importance = false;
};

// Decodes `count` blocks of `codec`, rounded from float32 to `type`, to out[count * block_size].
// Large outputs are written past the caches. isa: the one that `codec` was compiled for.
void gguf_dequantize(Isa isa, const GgufCodec& codec, const uint8_t* blocks, uint64_t count,
                     WeightType type, void* out);

// Decodes `count` blocks to bfloat16, as gguf_dequantize does.
using GgufDecodeBfloat16 = void(const uint8_t* blocks, uint64_t count, uint16_t* out);
// That of a codec for `isa`, without float32 in memory in between; null: it has none.
GgufDecodeBfloat16* gguf_decode_bfloat16(Isa isa, const GgufCodec& codec);

// The codec called `name`, compiled for `isa`; null for an unknown name.
const GgufCodec* gguf_codec(Isa isa, std::string_view name);

// How many there are, and number `index`.
uint64_t gguf_codec_count();
const GgufCodec& gguf_codec_at(Isa isa, uint64_t index);

}  // namespace precis::kernels
