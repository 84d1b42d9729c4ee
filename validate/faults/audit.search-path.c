/* Linked with a RUNPATH that everybody can write to. */
#include "sound.h"
#include "tables.h"
