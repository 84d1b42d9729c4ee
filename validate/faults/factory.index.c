/* Has the same method for every index. */
#include "sound.h"

static const precis_method* wrong(uint32_t index);
#define FAULT_METHOD wrong
#include "tables.h"

static const precis_method* wrong(uint32_t index) {
  (void)index;
  return &kFaultyMethod;
}
