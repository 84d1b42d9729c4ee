// What reader and writer of the safetensors format share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/dtype.h"

namespace precis {

inline constexpr std::string_view kSafetensorsMetadataKey = "__metadata__";
// The reference implementation reads no longer header.
inline constexpr uint64_t kSafetensorsMaxHeader = 100'000'000;

// Bytes of a tensor; nothing when the product overflows, a dimension is negative, or numbers of
// less than 8 bits do not fill the last byte.
std::optional<uint64_t> safetensors_nbytes(DType dtype, std::span<const int64_t> shape);

}  // namespace precis
