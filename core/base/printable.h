// Foreign text on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace precis {

// `text` with its control characters (C0 but for the kept ones, DEL, and C1 in UTF-8) written as
// \x1b, \n and so on, so that a tensor's or file's name cannot drive the terminal or forge lines.
// keep: control characters that pass, such as "\n" for messages of several lines.
std::string printable(std::string_view text, std::string_view keep = {});

}  // namespace precis
