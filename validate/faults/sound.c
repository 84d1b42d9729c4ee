/* Breaks no rule. */
#include "sound.h"
#include "tables.h"
