// Aligned columns for the terminal.
#pragma once

#include <string>
#include <vector>

namespace precis::cli {

// Rows of texts; the first row is the head. Columns from `first_right` on are aligned to the right.
// Control characters of the texts are escaped.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         std::size_t first_right);

}  // namespace precis::cli
