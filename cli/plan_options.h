// The options that plan, quantize and convert share, and the recipe they make.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/recipe.h"
#include "cli/session.h"
#include "core/engine/resolve.h"

namespace precis::cli {

// A plan, and the wishes it was made by: of the recipe, --config and the command line.
struct PlannedRun {
  Plan plan;
  Recipe recipe;
};

// Options that are empty were not given: then the recipe's count, or the engine's own.
struct PlanOptions {
  std::string source;
  std::string type, config, recipe, max_memory, imatrix, variant, max_shard_size;
  std::vector<std::string> components, rules, skips;
  bool no_default_skips = false;
  bool allow_requantize = false;  // of `convert`

  void add_options(CLI::App& command, Session& session);

  // What the engine is asked of a checkpoint that is open already.
  Result<ResolveOptions> resolve_options(const Checkpoint& checkpoint, Session& session) const;
  // Opens the source and resolves the plan; what the command line says wins over the recipe.
  // extra: what the command itself asks of the engine.
  Result<PlannedRun> make_plan(Session& session, const ResolveOptions& extra) const;

 private:
  // The recipe with everything but methods taken in; sets the session's threads and leniency.
  Result<Recipe> wishes(Session& session) const;
  // Adds the methods that --config, --type, --component and --rule name.
  Status add_methods(const Checkpoint& checkpoint, Recipe& wishes) const;
};

// "NAME=VALUE" at the first '='. Error invalid_argument naming the option.
Result<std::pair<std::string, std::string>> split_assignment(const std::string& text,
                                                             const char* option);

// The table that `plan` and `quantize` print.
std::string plan_table(const Plan& plan);

}  // namespace precis::cli
