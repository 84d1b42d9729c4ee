/* Needs a host that is newer than its own headers. */
#include "sound.h"

#define FAULT_MIN_HOST_MINOR 99
#include "tables.h"
