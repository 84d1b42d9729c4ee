// Carrying out a plan from the command line: progress, interruption, and the report at the end.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cli/session.h"
#include "core/engine/execute.h"

namespace precis::cli {

struct RunOptions {
  std::string output;
  bool resume = true, force = false, measure_error = true;
  std::string progress = "auto";    // auto, plain, json, none
  std::optional<double> max_error;  // relative error beyond which the run fails
  bool isolate = false;
  uint64_t isolate_timeout = 60;  // seconds

  void add_options(CLI::App& command);
  // Adds --isolate and --isolate-timeout.
  void add_isolation(CLI::App& command);
};

// Adds --max-error, which takes 0 and positive numbers.
CLI::Option* add_max_error(CLI::App& command, std::optional<double>& max_error);

// Runs the plan and prints the report; gives the exit code.
int run_plan(const Plan& plan, const RunOptions& options, Session& session);

// The container that a file name asks for by its ending; nothing for a directory.
std::optional<ContainerFormat> container_of(const std::string& output);

}  // namespace precis::cli
