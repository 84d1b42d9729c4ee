/* normalize is missing. */
#include "sound.h"

#define FAULT_NORMALIZE NULL
#include "tables.h"
