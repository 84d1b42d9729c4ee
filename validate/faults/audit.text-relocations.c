/* Holds an address in its code; linked with -z notext. */
#include "sound.h"
#include "tables.h"

__asm__(".text\n.quad precis_plugin_entry_v1\n");
