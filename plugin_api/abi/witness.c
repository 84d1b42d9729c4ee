/* What abidw and abidiff look at: every struct of golden.inc is reached from an exported function,
 * the tables too, which plugins hand over as const void*. */
#include <precis/precis.h>

#define PRECIS_LAYOUT_SIZE(type, bytes)                        \
  PRECIS_EXPORT void witness_##type(const struct type* value); \
  void witness_##type(const struct type* value) {              \
    (void)value;                                               \
  }
#define PRECIS_LAYOUT_OFFSET(type, member, offset)
#include "golden.inc"
