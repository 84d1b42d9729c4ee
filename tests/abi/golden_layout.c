/* The ABI's layout is what plugin_api/abi/golden.inc recorded. Compiling is the test. */
#include <precis/precis.h>

#define PRECIS_LAYOUT_SIZE(type, bytes) \
  _Static_assert(sizeof(struct type) == (bytes), "size of " #type);
#define PRECIS_LAYOUT_OFFSET(type, member, offset) \
  _Static_assert(offsetof(struct type, member) == (offset), "offset of " #type "." #member);
#include "golden.inc"

/* A changed signature is a break that no offset shows: each table's functions by their exact type.
 */
#define PRECIS_SAME_TYPE(table, member, type) \
  _Static_assert(_Generic(((struct table*)0)->member, type : 1, default : 0), #table "." #member)
#include "golden_signatures.inc"

int main(void) {
  return 0;
}
