/* Linked with the driver of a device, and not loadable where there is none. */
#include "sound.h"
#include "tables.h"
