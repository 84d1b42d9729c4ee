// The subcommands of the program that runs networks.
#pragma once

#include "cli/session.h"

namespace precis::cli {

// Each registers its subcommand; `result` receives the exit code when it runs.
void add_generate(CLI::App& app, Session& session, int& result);
void add_embed(CLI::App& app, Session& session, int& result);

}  // namespace precis::cli
