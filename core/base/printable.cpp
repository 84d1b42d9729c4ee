#include "core/base/printable.h"

#include <fmt/format.h>

namespace precis {

std::string printable(std::string_view text, std::string_view keep) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F.
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      result += fmt::format("\\x{:02x}", next);
      ++i;
    } else if ((byte >= 0x20 && byte != 0x7f) || keep.find(text[i]) != std::string_view::npos) {
      result += text[i];
    } else if (byte == '\n') {
      result += "\\n";
    } else if (byte == '\t') {
      result += "\\t";
    } else if (byte == '\r') {
      result += "\\r";
    } else {
      result += fmt::format("\\x{:02x}", byte);
    }
  }
  return result;
}

}  // namespace precis
