// The same layouts and signatures as golden_layout.c, as a C++ compiler sees them: the SDK relies
// on both.
#include <precis/precis.h>

#include <cstddef>
#include <type_traits>

#define PRECIS_LAYOUT_SIZE(type, bytes)                                     \
  static_assert(sizeof(struct type) == (bytes), "size of " #type);          \
  static_assert(std::is_trivial_v<type> && std::is_standard_layout_v<type>, \
                #type " is a plain struct");
#define PRECIS_LAYOUT_OFFSET(type, member, offset) \
  static_assert(offsetof(struct type, member) == (offset), "offset of " #type "." #member);
#include "golden.inc"

#define PRECIS_SAME_TYPE(table, member, type) \
  static_assert(std::is_same_v<decltype(table::member), type>, #table "." #member)
#include "golden_signatures.inc"

int main() {
  return 0;
}
