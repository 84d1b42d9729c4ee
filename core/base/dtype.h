// Number formats of tensors, as core names them. Codebook and block formats are encodings, not
// dtypes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "precis/base.h"

namespace precis {

enum class DType : uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f16,
  bf16,
  f32,
  f64,
  f8_e4m3fn,
  f8_e5m2,
  f8_e8m0fnu,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  f6_e2m3fn,
  f6_e3m2fn,
  f4_e2m1fn,
  c64,
};

// Width of one element in bits; elements of less than 8 bits are packed.
uint32_t dtype_bits(DType dtype);

// Bytes of `elements` packed elements; nothing when the product overflows.
std::optional<uint64_t> dtype_bytes(DType dtype, uint64_t elements);

// True for f16, bf16, f32, f64: the dtypes that weights are trained in and may be quantized from.
bool is_floating(DType dtype);

// "bf16", "f8_e4m3fn": the names that precis prints and takes.
std::string_view dtype_name(DType dtype);
// The reverse; also takes PyTorch's names ("bfloat16", "float8_e4m3fn", "half").
std::optional<DType> dtype_from_name(std::string_view name);

// "BF16", "F8_E4M3": the names of the safetensors header.
std::string_view safetensors_dtype_name(DType dtype);
std::optional<DType> dtype_from_safetensors(std::string_view name);

// The ABI's code and back; nothing for a code that core does not know.
precis_dtype to_abi(DType dtype);
std::optional<DType> dtype_from_abi(precis_dtype dtype);

}  // namespace precis
