// GGML's tensor types as the GGUF container knows them: how many bytes a row takes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/dtype.h"

namespace precis {

// One row of ggml's type table (ggml.h and ggml-common.h of 2026-08; ids are part of the format).
struct GgufType {
  uint32_t id;
  std::string_view name;  // "q4_k"
  uint32_t block_size;    // elements
  uint32_t block_bytes;
  std::optional<DType> number;  // set for plain numbers
};

// The type with this id; null for removed and unknown ids.
const GgufType* gguf_type(uint32_t id);
// The type that holds a plain dtype or an encoding such as "gguf.q4_k"; null when GGUF has none.
const GgufType* gguf_type_for(DType dtype, std::string_view encoding);

// Bytes of a tensor of this type; nothing when the product overflows, a dimension is negative, or
// rows (the last dimension) are no multiple of the block size.
std::optional<uint64_t> gguf_nbytes(const GgufType& type, std::span<const int64_t> shape);

// "gguf.q4_k".
std::string gguf_encoding(const GgufType& type);

}  // namespace precis
