#include "core/format/utf8.h"

#include <cstdint>
#include <cstring>

namespace precis {
namespace {

// Length of the sequence that begins with `lead`, and the limits of its second byte; 0: no lead
// byte.
struct Sequence {
  std::size_t length;
  uint8_t second_low, second_high;
};

Sequence sequence_of(uint8_t lead) {
  if (lead >= 0xc2 && lead <= 0xdf) return {2, 0x80, 0xbf};
  if (lead == 0xe0) return {3, 0xa0, 0xbf};
  if (lead == 0xed) return {3, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {3, 0x80, 0xbf};
  if (lead == 0xf0) return {4, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {4, 0x80, 0xbf};
  if (lead == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t at) { return static_cast<uint8_t>(text[at]); };
  while (i < text.size()) {
    uint64_t eight = 0;
    if (text.size() - i >= sizeof eight) {  // headers are ASCII nearly throughout
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    if (byte(i) < 0x80) {
      ++i;
      continue;
    }
    const Sequence sequence = sequence_of(byte(i));
    if (sequence.length == 0 || text.size() - i < sequence.length) return false;
    if (byte(i + 1) < sequence.second_low || byte(i + 1) > sequence.second_high) return false;
    for (std::size_t k = 2; k < sequence.length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    i += sequence.length;
  }
  return true;
}

}  // namespace precis
