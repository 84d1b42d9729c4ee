/* deinit leaves a function to be called at the end that crashes. */
#include "sound.h"

static void crash(void) {
  abort();
}
static void wrong(void) {
  atexit(crash);
}
#define FAULT_DEINIT wrong
#include "tables.h"
