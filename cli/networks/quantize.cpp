// precis quantize --calibration: a plan whose weights are encoded by what reaches them.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "cli/interrupt.h"
#include "cli/networks/calibration_data.h"
#include "cli/networks/commands.h"
#include "cli/plan_options.h"
#include "cli/run.h"
#include "cli/table.h"
#include "core/abi/calibration.h"
#include "core/base/printable.h"
#include "core/base/sha256.h"
#include "core/engine/output_place.h"
#include "core/engine/plan_checks.h"
#include "runtime/threads/openmp_loops.h"

namespace precis::cli {
namespace {

struct CalibratedQuantize {
  PlanOptions plan;
  RunOptions run;
  CalibrationOptions calibration;
};

class LayerPrinter {
 public:
  LayerPrinter(const std::string& mode, bool quiet) : json_(mode == "json") {
    none_ = quiet || mode == "none";
  }

  void operator()(const CalibrationProgress& progress) const {
    if (none_) return;
    if (json_) {
      fmt::print(stderr, "{}\n",
                 nlohmann::ordered_json{{"layers_done", progress.layers_done},
                                        {"layers_total", progress.layers_total},
                                        {"layer", progress.layer},
                                        {"relative_error", json_number(progress.relative_error)},
                                        {"resumed", progress.resumed},
                                        {"seconds", progress.seconds}}
                     .dump());
      return;
    }
    const auto left = static_cast<uint64_t>(progress.seconds_left);
    fmt::print(stderr, "{}/{} layers  {}  output error {}{}  ETA {}:{:02}\n", progress.layers_done,
               progress.layers_total, printable(progress.layer),
               std::isnan(progress.relative_error) ? std::string("unknown")
                                                   : fmt::format("{:.3e}", progress.relative_error),
               progress.resumed ? " (done before)" : "", left / 60, left % 60);
  }

 private:
  bool json_, none_;
};

// What is calibrated: a component of the plan, and what with.
struct CalibratedComponent {
  ComponentPlan* plan;
  CalibrationRequest request;
};

bool can_be_calibrated(const ComponentPlan& component) {
  return std::any_of(
      component.tensors.begin(), component.tensors.end(), [](const TensorPlan& tensor) {
        return tensor.action == Action::quantize && CalibrationGroup::available(*tensor.quantizer);
      });
}

Status check_denoising_options(const CalibrationOptions& options,
                               const std::vector<CalibratedComponent>& components) {
  const bool denoises =
      std::any_of(components.begin(), components.end(), [](const CalibratedComponent& component) {
        return component.request.data == pipelines::CalibrationData::denoising;
      });
  if (denoises || options.denoising_option.empty()) return {};
  return Error(
      ErrorCode::invalid_argument,
      fmt::format("{}: no image is made, because no transformer of a pipeline is calibrated",
                  options.denoising_option),
      "leave it out, or give the pipeline and --component transformer=SPEC");
}

Result<std::vector<CalibratedComponent>> calibrated_components(const CalibratedQuantize& options,
                                                               const std::string& variant,
                                                               Plan& plan, Session& session) {
  std::vector<CalibratedComponent> result;
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(plan.source, {variant}));
  for (ComponentPlan& component : plan.components) {
    CalibrationRequest request{plan.source, component.name, variant};
    if (plan.kind == CheckpointKind::pipeline) {
      if (!can_be_calibrated(component)) continue;
      const auto stored =
          std::find_if(checkpoint.components.begin(), checkpoint.components.end(),
                       [&](const Component& c) { return c.name == component.name; });
      request.data = stored == checkpoint.components.end() ? pipelines::CalibrationData::none
                                                           : pipelines::calibration_data(*stored);
      if (request.data == pipelines::CalibrationData::none) {
        session.warn(fmt::format("{} is rounded without data: precis cannot run it on any",
                                 printable(component.name)));
        continue;
      }
    }
    result.push_back({&component, std::move(request)});
  }
  if (result.empty()) {
    return Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: nothing that is quantized can be calibrated", plan.source.string()),
        "give a text encoder or the transformer a method such as gptq or awq, as in "
        "--component transformer=gptq-4bit");
  }
  PRECIS_TRY(check_denoising_options(options.calibration, result));
  return result;
}

Status check_source(const Plan& plan) {
  if (plan.kind != CheckpointKind::single_file) return {};
  return Error(ErrorCode::unsupported,
               fmt::format("{}: --calibration takes a pipeline, or the directory of one network",
                           plan.source.string()),
               "a lone file does not tell how its network is run");
}

// The plan's result depends on the data too.
void add_to_fingerprint(Plan& plan, const std::vector<CalibratedComponent>& components,
                        const CalibrationInput& input) {
  std::string all = plan.fingerprint;
  for (const auto& component : components) all += input.fingerprint(component.request.data);
  plan.fingerprint = to_hex(sha256(std::as_bytes(std::span(all))));
}

Status calibrate_component(const CalibratedComponent& component, const CalibrationInput& input,
                           const EncodedStore& store, const RunOptions& run, uint64_t max_memory,
                           Session& session, std::vector<std::shared_ptr<const Container>>& files) {
  const GracefulInterrupt interrupt;
  PRECIS_ASSIGN(auto calibration, input.open(component.request, store, run.progress,
                                             &interrupt.requested(), session));
  CalibrateOptions options;
  options.progress = LayerPrinter(run.progress, session.quiet);
  options.cancel = &interrupt.requested();
  options.max_sample_bytes = max_memory;
  PRECIS_ASSIGN(CalibrationReport report,
                pipelines::calibrate_network(calibration, component.request.source, *component.plan,
                                             store.section(component.request.component), options));
  for (const std::string& warning : report.warnings) session.warn(warning);
  files.insert(files.end(), report.files.begin(), report.files.end());
  return {};
}

Result<int> quantize(const CalibratedQuantize& options, Session& session) {
  PRECIS_ASSIGN(const CalibrationInput input, CalibrationInput::read(options.calibration));
  ResolveOptions extra;
  extra.container = container_of(options.run.output);
  extra.calibrated = true;
  extra.recipe = {{"calibration", input.to_json()}};
  PRECIS_ASSIGN(PlannedRun planned, options.plan.make_plan(session, extra));
  Plan& plan = planned.plan;
  for (const std::string& warning : plan.warnings) session.warn(warning);
  PRECIS_TRY(check_source(plan));
  PRECIS_TRY(check_memory(plan));
  PRECIS_ASSIGN(const auto components,
                calibrated_components(options, planned.recipe.variant, plan, session));
  add_to_fingerprint(plan, components, input);
  const std::filesystem::path out = options.run.output;
  PRECIS_TRY(check_output_place(plan, out, with_suffix(out, ".partial"), options.run.force));
  for (const auto& component : components) PRECIS_TRY(input.check(component.request, session));
  PRECIS_ASSIGN(const EncodedStore store, EncodedStore::open(with_suffix(out, ".calibration"),
                                                             plan.fingerprint, options.run.resume));
  std::vector<std::shared_ptr<const Container>> files;  // that the plan refers to
  for (const auto& component : components) {
    PRECIS_TRY(
        calibrate_component(component, input, store, options.run, plan.max_memory, session, files));
  }
  run_loops_on_pool();
  const int code = run_plan(plan, options.run, session);
  if (code == kDone || code == kQuality) store.remove();
  return code;
}

}  // namespace

void add_quantize(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("quantize", "quantize networks by what reaches them");
  auto options = std::make_shared<CalibratedQuantize>();
  options->plan.add_options(*command, session);
  options->run.add_options(*command);
  options->calibration.add_options(*command)->required();
  command->callback([options, &session, &result] {
    session.apply();
    if (session.threads > 0u) at::set_num_threads(static_cast<int>(*session.threads));
    auto code = quantize(*options, session);
    if (code.ok()) {
      result = *code;
    } else if (code.error().code() == ErrorCode::cancelled) {
      result = session.fail(
          Error(ErrorCode::cancelled, "interrupted", "the same command goes on where it stopped"));
    } else {
      result = session.fail(code.error());
    }
  });
}

}  // namespace precis::cli
