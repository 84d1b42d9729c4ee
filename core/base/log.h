// The one logger: spdlog on standard error, so that standard output carries results alone.
#pragma once

#include <spdlog/spdlog.h>

namespace precis {

// The process-wide logger. [any thread]
spdlog::logger& logger();

// 0: errors only, 1: warnings (the default), 2: information, 3: debugging.
void set_verbosity(int verbosity);

}  // namespace precis
