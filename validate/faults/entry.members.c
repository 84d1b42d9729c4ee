/* deinit is missing. */
#include "sound.h"

#define FAULT_DEINIT NULL
#include "tables.h"
