// GGUF's metadata values: their type numbers and names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace precis {

// The value is the number in the file (GGUF v3).
enum class GgufValueType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

inline constexpr std::array<std::string_view, 13> kGgufValueNames{
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

constexpr std::string_view gguf_value_name(GgufValueType type) {
  return kGgufValueNames[static_cast<std::size_t>(type)];
}

// Bytes of a value of fixed size; 0 for strings and arrays.
constexpr uint64_t gguf_value_size(GgufValueType type) {
  constexpr std::array<uint64_t, 13> kSizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kSizes[static_cast<std::size_t>(type)];
}

inline constexpr uint32_t kGgufMagic = 0x46554747;  // "GGUF"
// The reverse spelling that newer big-endian writers use.
inline constexpr uint32_t kGgufMagicReversed = 0x47475546;  // "FUGG"
inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr uint64_t kGgufMaxKeyBytes = 65535;
// ggml stops at 4 dimensions. Conv3d weights of video models have 5: gguf-py (diffusers, ComfyUI)
// and stable-diffusion.cpp read them.
inline constexpr std::size_t kGgufMaxDimensions = 5;

}  // namespace precis
