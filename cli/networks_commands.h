// The commands that run networks, as `precis` has them: each becomes another program.
#pragma once

#include "cli/session.h"

namespace precis::cli {

// Whether that program is there.
bool has_networks();

// Becomes that program with this one's arguments, for a command of both whose options ask for
// networks; comes back with an exit code only when it cannot.
int run_in_networks_program(Session& session);

// Registers generate, embed and calibrate; `result` receives the exit code when that program is not
// there.
void add_networks_commands(CLI::App& app, Session& session, int& result);

}  // namespace precis::cli
