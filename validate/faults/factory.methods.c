/* Writes a container that nobody knows. */
#include "sound.h"

#define FAULT_CONTAINER "pickle"
#include "tables.h"
