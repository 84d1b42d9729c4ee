/* Exports a helper of its own; linked without the version script. */
#include "sound.h"

PRECIS_EXPORT int helper(void);
int helper(void) {
  return 1;
}
#include "tables.h"
