/* The entry begins with another number. */
#include "sound.h"

#define FAULT_MAGIC 1u
#include "tables.h"
