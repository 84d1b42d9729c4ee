/* Linked with -z execstack. */
#include "sound.h"
#include "tables.h"
