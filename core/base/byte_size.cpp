#include "core/base/byte_size.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace precis {

Result<uint64_t> parse_byte_size(std::string_view text) {
  const auto fail = [&] {
    return Error(ErrorCode::invalid_argument, fmt::format("'{}' is not a size", text),
                 "write a number with a unit, such as 512MiB, 4GiB or 1048576");
  };
  double number = 0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || !(number >= 0)) return fail();
  std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);

  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr double ki = 1024;
  constexpr std::array kUnits{Unit{"", 1},
                              Unit{"B", 1},
                              Unit{"K", ki},
                              Unit{"KiB", ki},
                              Unit{"kB", 1e3},
                              Unit{"KB", 1e3},
                              Unit{"M", ki * ki},
                              Unit{"MiB", ki * ki},
                              Unit{"MB", 1e6},
                              Unit{"G", ki * ki * ki},
                              Unit{"GiB", ki * ki * ki},
                              Unit{"GB", 1e9},
                              Unit{"T", ki * ki * ki * ki},
                              Unit{"TiB", ki * ki * ki * ki},
                              Unit{"TB", 1e12}};
  for (const Unit& candidate : kUnits) {
    if (candidate.name != unit) continue;
    const double bytes = number * candidate.bytes;
    if (bytes >= 0x1p63) return fail();
    return static_cast<uint64_t>(std::llround(bytes));
  }
  return fail();
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kNames.size()) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kNames[unit]);
}

}  // namespace precis
