// Carrying out a plan from the command line: progress, interruption, and the report at the end.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/session.h"
#include "core/engine/execute.h"

namespace precis::cli {

struct RunOptions {
  std::string output;
  bool resume = true, force = false, measure_error = true;
  std::string progress = "auto";  // auto, plain, json, none
  double max_error = 0;           // relative error beyond which the run fails; 0: no limit

  void add_options(CLI::App& command);
};

// Runs the plan and prints the report; gives the exit code.
int run_plan(const Plan& plan, const RunOptions& options, Session& session);

// The container that a file name asks for by its ending; nothing for a directory.
std::optional<ContainerFormat> container_of(const std::string& output);

}  // namespace precis::cli
