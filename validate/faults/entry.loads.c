/* Needs a function that no library has. */
#include "sound.h"

void a_function_that_nobody_defines(void);
#define FAULT_DEINIT a_function_that_nobody_defines
#include "tables.h"
