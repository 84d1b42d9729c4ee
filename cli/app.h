// A program of subcommands, from its arguments to its exit code.
#pragma once

#include "cli/session.h"

namespace precis::cli {

// Parses the arguments and runs the subcommand they name, which leaves its exit code in `result`.
// Whatever happens, with --json standard output gets exactly one document; only --help and
// --version print their text. Gives the exit code of the process.
int run_app(CLI::App& app, int argc, char** argv, Session& session, const int& result);

}  // namespace precis::cli
