/* Linked with the OpenMP library. */
#include "sound.h"
#include "tables.h"
