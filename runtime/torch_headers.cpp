// Holds the precompiled header that the other targets reuse.
#include "runtime/torch_headers.h"
