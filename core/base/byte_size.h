// Byte counts as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace precis {

// "512MiB", "4G", "1.5 GB", "1048576". KiB, MiB, GiB, TiB and the bare letters K, M, G, T are
// powers of 1024; kB, MB, GB, TB are powers of 1000. Error: invalid_argument.
Result<uint64_t> parse_byte_size(std::string_view text);

// "13.4 GB": powers of 1000, three digits.
std::string format_bytes(uint64_t bytes);

}  // namespace precis
