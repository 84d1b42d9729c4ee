// This process' memory as the kernel counts it.
#pragma once

#include <cstdint>

namespace precis {

// Anonymous resident memory (RssAnon of /proc/self/status), bytes; 0 where the system does not
// tell.
uint64_t anonymous_memory_bytes();

}  // namespace precis
