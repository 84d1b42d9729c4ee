// precis plan, quantize, dequantize, convert: a plan, and its execution.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/calibration_options.h"
#include "cli/networks_commands.h"
#include "cli/plan_options.h"
#include "cli/run.h"
#include "core/base/byte_size.h"
#include "core/base/output_file.h"
#include "core/base/printable.h"
#include "core/engine/plan_checks.h"

namespace precis::cli {
namespace {

void print_warnings(const Plan& plan, const Session& session) {
  for (const std::string& warning : plan.warnings) session.warn(warning);
}

int print_plan(const PlannedRun& planned, const std::string& emit_recipe, Session& session) {
  const Plan& plan = planned.plan;
  if (!emit_recipe.empty()) {
    if (auto status = write_file_atomically(emit_recipe, recipe_toml(planned.recipe)); !status.ok())
      return session.fail(status.error());
  }
  if (session.json) {
    session.print(plan.to_json(true));
    return kDone;
  }
  print_warnings(plan, session);
  session.show(
      fmt::format("{}\npeak memory {} (cap on working memory {}), disk needed {}, threads {}\n",
                  plan_table(plan), format_bytes(plan.peak_memory_bytes),
                  format_bytes(plan.max_memory), format_bytes(plan.output_bytes), plan.threads));
  if (session.verbose > 0) {
    for (const ComponentPlan& component : plan.components) {
      for (const TensorPlan& tensor : component.tensors) {
        session.show(fmt::format("  {}{}{}  {}  {}\n", printable(component.name),
                                 component.name.empty() ? "" : ".",
                                 printable(tensor.source.param.name), action_name(tensor.action),
                                 printable(tensor.reason)));
      }
    }
  }
  return kDone;
}

bool quantizes(const Plan& plan) {
  return std::any_of(
      plan.components.begin(), plan.components.end(), [](const ComponentPlan& component) {
        return std::any_of(
            component.tensors.begin(), component.tensors.end(),
            [](const TensorPlan& tensor) { return tensor.action == Action::quantize; });
      });
}

// Refuses a run that would do nothing of what the user came for.
Status check_something_to_do(const Plan& plan) {
  if (quantizes(plan)) return {};
  return Error(ErrorCode::invalid_argument, "nothing would be quantized",
               "name a method with --type, --component or --rule; `precis plan PATH -v` says why "
               "each tensor is kept");
}

// A limit that nothing is measured against would always hold.
Status check_measured(const Plan& plan, const RunOptions& run) {
  if (!run.max_error || (run.measure_error && quantizes(plan))) return {};
  return Error(ErrorCode::invalid_argument,
               run.measure_error ? "--max-error: no weight would be quantized, so none is measured"
                                 : "--max-error and --no-measure-error exclude each other",
               "leave --max-error out, or compare two checkpoints with `precis compare`");
}

int make_and_run(const PlanOptions& options, const RunOptions& run, const ResolveOptions& extra,
                 bool must_quantize, Session& session) {
  auto planned = options.make_plan(session, extra);
  if (!planned.ok()) return session.fail(planned.error());
  if (must_quantize) {
    if (auto status = check_something_to_do(planned->plan); !status.ok())
      return session.fail(status.error());
  }
  Plan& plan = planned->plan;
  if (run.isolate) plan.peak_memory_bytes += IsolatedWorkers::overhead_bytes(plan);
  if (auto status = check_measured(plan, run); !status.ok()) return session.fail(status.error());
  if (auto status = check_memory(plan); !status.ok()) return session.fail(status.error());
  print_warnings(plan, session);
  return run_plan(plan, run, session);
}

}  // namespace

void add_plan(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "plan", "what quantize would do: sizes to the byte, memory; reads headers, writes nothing");
  auto options = std::make_shared<PlanOptions>();
  auto recipe = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  options->add_options(*command, session);
  command->add_option("--emit-recipe", *recipe, "write the options as a recipe")->type_name("FILE");
  command->add_option("-o,--output", *output,
                      "the output that is planned: its ending may choose a file format");
  command->callback([=, &session, &result] {
    session.apply();
    ResolveOptions extra;
    extra.container = container_of(*output);
    auto planned = options->make_plan(session, extra);
    result = planned.ok() ? print_plan(*planned, *recipe, session) : session.fail(planned.error());
  });
}

void add_quantize(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "quantize", "quantize a checkpoint; streams, resumes, appears only when complete");
  auto options = std::make_shared<PlanOptions>();
  auto run = std::make_shared<RunOptions>();
  auto calibration = std::make_shared<CalibrationOptions>();
  options->add_options(*command, session);
  run->add_options(*command);
  run->add_isolation(*command);
  calibration->add_options(*command);
  command->callback([=, &session, &result] {
    session.apply();
    if (calibration->asked() && run->isolate) {
      result = session.fail(
          Error(ErrorCode::invalid_argument, "--isolate and --calibration exclude each other",
                "a calibration encodes within the process that runs the network"));
      return;
    }
    if (calibration->asked()) {
      result = run_in_networks_program(session);
      return;
    }
    ResolveOptions extra;
    extra.container = container_of(run->output);
    result = make_and_run(*options, *run, extra, true, session);
  });
}

void add_dequantize(CLI::App& app, Session& session, int& result) {
  auto* command =
      app.add_subcommand("dequantize", "decode every quantized weight; all numbers get one dtype");
  auto options = std::make_shared<PlanOptions>();
  auto run = std::make_shared<RunOptions>();
  auto dtype = std::make_shared<std::string>("bf16");
  command->add_option("PATH", options->source, "a quantized checkpoint")->required();
  command->add_option("--dtype", *dtype, "of every number, quantized or not: f32, f16 or bf16")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->capture_default_str();
  command->add_option("--max-memory", options->max_memory, "cap on working memory")
      ->type_name("SIZE");
  command->add_option("--variant", options->variant, "variant of the source's weight files")
      ->type_name("NAME");
  session.add_options(*command);
  run->add_options(*command);
  run->add_isolation(*command);
  command->callback([=, &session, &result] {
    session.apply();
    ResolveOptions extra;
    extra.dequantize_to = dtype_from_name(*dtype);
    extra.container = container_of(run->output);
    result = make_and_run(*options, *run, extra, false, session);
  });
}

void add_convert(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "convert", "change the container or the format; the ending of OUT chooses the container");
  auto options = std::make_shared<PlanOptions>();
  auto run = std::make_shared<RunOptions>();
  options->add_options(*command, session);
  run->add_options(*command);
  run->add_isolation(*command);
  command->add_flag("--allow-requantize", options->allow_requantize,
                    "quantize again, at a loss, where a format cannot hold a weight's values");
  command->callback([=, &session, &result] {
    session.apply();
    ResolveOptions extra;
    extra.convert = true;
    extra.container = container_of(run->output);
    result = make_and_run(*options, *run, extra, false, session);
  });
}

}  // namespace precis::cli
