/* dequantize is missing. */
#include "sound.h"

#define FAULT_DEQUANTIZE NULL
#include "tables.h"
