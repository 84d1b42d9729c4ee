// Reading mapped files before their numbers are needed.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace precis {

// Has a thread touch the pages of `memory`, in turn with what was asked for before, so that the
// file is read one large piece after another. Reading it as products touch it, several rows at a
// time, or by hints for each tensor takes two to three times as long. Returns at once; `owner`
// keeps the mapping until then. [any thread]
void read_ahead(std::span<const std::byte> memory, std::shared_ptr<const void> owner);

}  // namespace precis
