// The options that plan, quantize and convert share, and the recipe they make.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/session.h"
#include "core/engine/resolve.h"

namespace precis::cli {

struct PlanOptions {
  std::string source;
  std::string type, config, recipe, max_memory = "4GiB", imatrix, variant, max_shard_size = "10GB";
  std::vector<std::string> components, rules, skips;
  bool no_default_skips = false;

  void add_options(CLI::App& command, Session& session);

  // What the engine is asked, with the recipe file and --config taken in; options on the command
  // line win.
  Result<ResolveOptions> resolve_options(const Checkpoint& checkpoint, Session& session) const;
  // Opens the source and resolves the plan.
  Result<Plan> make_plan(Session& session, const ResolveOptions& extra) const;
};

// "NAME=SPEC" in two. last: at the last '=' before the value's first ':', for a name that is a
// regular expression and may hold '='. Error invalid_argument naming the option.
Result<std::pair<std::string, std::string>> split_assignment(const std::string& text,
                                                             const char* option, bool last);

// A recipe as TOML, the form that --recipe reads.
std::string recipe_toml(const nlohmann::json& recipe);

// The table that `plan` and `quantize` print.
std::string plan_table(const Plan& plan);

}  // namespace precis::cli
