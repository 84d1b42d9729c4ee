// The commands that run networks, as `precis` has them: each becomes another program.
#pragma once

#include "cli/session.h"

namespace precis::cli {

// Whether that program is there.
bool has_networks();

// Registers generate and embed; `result` receives the exit code when that program is not there.
void add_networks_commands(CLI::App& app, Session& session, int& result);

}  // namespace precis::cli
