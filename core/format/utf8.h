// Whether bytes of a foreign file are text.
#pragma once

#include <string_view>

namespace precis {

// True for well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace precis
