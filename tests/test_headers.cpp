// Holds the precompiled header that test programs reuse.
#include "tests/test_headers.h"
