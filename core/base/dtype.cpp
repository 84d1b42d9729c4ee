#include "core/base/dtype.h"

#include <array>
#include <cstddef>

namespace precis {
namespace {

struct DTypeRow {
  DType dtype;
  uint32_t bits;
  std::string_view name;
  std::string_view torch_name;
  std::string_view safetensors_name;
  uint8_t abi_code;
};

// Safetensors names: the Dtype enum of the safetensors crate 0.6.
constexpr std::array kRows{
    DTypeRow{DType::boolean, 8, "bool", "bool", "BOOL", PRECIS_TYPE_BOOL},
    DTypeRow{DType::u8, 8, "u8", "uint8", "U8", PRECIS_TYPE_UINT},
    DTypeRow{DType::i8, 8, "i8", "int8", "I8", PRECIS_TYPE_INT},
    DTypeRow{DType::u16, 16, "u16", "uint16", "U16", PRECIS_TYPE_UINT},
    DTypeRow{DType::i16, 16, "i16", "int16", "I16", PRECIS_TYPE_INT},
    DTypeRow{DType::u32, 32, "u32", "uint32", "U32", PRECIS_TYPE_UINT},
    DTypeRow{DType::i32, 32, "i32", "int32", "I32", PRECIS_TYPE_INT},
    DTypeRow{DType::u64, 64, "u64", "uint64", "U64", PRECIS_TYPE_UINT},
    DTypeRow{DType::i64, 64, "i64", "int64", "I64", PRECIS_TYPE_INT},
    DTypeRow{DType::f16, 16, "f16", "float16", "F16", PRECIS_TYPE_FLOAT},
    DTypeRow{DType::bf16, 16, "bf16", "bfloat16", "BF16", PRECIS_TYPE_BFLOAT},
    DTypeRow{DType::f32, 32, "f32", "float32", "F32", PRECIS_TYPE_FLOAT},
    DTypeRow{DType::f64, 64, "f64", "float64", "F64", PRECIS_TYPE_FLOAT},
    DTypeRow{DType::f8_e4m3fn, 8, "f8_e4m3fn", "float8_e4m3fn", "F8_E4M3",
             PRECIS_TYPE_FLOAT8_E4M3FN},
    DTypeRow{DType::f8_e5m2, 8, "f8_e5m2", "float8_e5m2", "F8_E5M2", PRECIS_TYPE_FLOAT8_E5M2},
    DTypeRow{DType::f8_e8m0fnu, 8, "f8_e8m0fnu", "float8_e8m0fnu", "F8_E8M0",
             PRECIS_TYPE_FLOAT8_E8M0FNU},
    DTypeRow{DType::f8_e4m3fnuz, 8, "f8_e4m3fnuz", "float8_e4m3fnuz", "F8_E4M3FNUZ",
             PRECIS_TYPE_FLOAT8_E4M3FNUZ},
    DTypeRow{DType::f8_e5m2fnuz, 8, "f8_e5m2fnuz", "float8_e5m2fnuz", "F8_E5M2FNUZ",
             PRECIS_TYPE_FLOAT8_E5M2FNUZ},
    DTypeRow{DType::f6_e2m3fn, 6, "f6_e2m3fn", "float6_e2m3fn", "F6_E2M3",
             PRECIS_TYPE_FLOAT6_E2M3FN},
    DTypeRow{DType::f6_e3m2fn, 6, "f6_e3m2fn", "float6_e3m2fn", "F6_E3M2",
             PRECIS_TYPE_FLOAT6_E3M2FN},
    DTypeRow{DType::f4_e2m1fn, 4, "f4_e2m1fn", "float4_e2m1fn", "F4", PRECIS_TYPE_FLOAT4_E2M1FN},
    DTypeRow{DType::c64, 64, "c64", "complex64", "C64", PRECIS_TYPE_COMPLEX},
};

constexpr const DTypeRow& row(DType dtype) {
  return kRows[static_cast<std::size_t>(dtype)];
}

}  // namespace

uint32_t dtype_bits(DType dtype) {
  return row(dtype).bits;
}

std::optional<uint64_t> dtype_bytes(DType dtype, uint64_t elements) {
  uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, uint64_t{row(dtype).bits}, &bits)) return std::nullopt;
  return bits / 8 + (bits % 8 != 0);
}

bool is_floating(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64;
}

std::string_view dtype_name(DType dtype) {
  return row(dtype).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeRow& candidate : kRows) {
    if (name == candidate.name || name == candidate.torch_name) return candidate.dtype;
  }
  if (name == "half") return DType::f16;
  if (name == "float") return DType::f32;
  if (name == "double") return DType::f64;
  return std::nullopt;
}

std::string_view safetensors_dtype_name(DType dtype) {
  return row(dtype).safetensors_name;
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const DTypeRow& candidate : kRows) {
    if (name == candidate.safetensors_name) return candidate.dtype;
  }
  return std::nullopt;
}

precis_dtype to_abi(DType dtype) {
  return {row(dtype).abi_code, static_cast<uint8_t>(row(dtype).bits), 1};
}

std::optional<DType> dtype_from_abi(precis_dtype dtype) {
  if (dtype.lanes != 1) return std::nullopt;
  for (const DTypeRow& candidate : kRows) {
    if (dtype.code == candidate.abi_code && dtype.bits == candidate.bits) return candidate.dtype;
  }
  return std::nullopt;
}

}  // namespace precis
