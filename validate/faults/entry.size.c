/* The entry says that it is shorter than it is. */
#include "sound.h"

#define FAULT_SIZE 8
#include "tables.h"
