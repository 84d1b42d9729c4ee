// precis quantize --calibration: a plan whose weights are encoded by what reaches them.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "cli/calibration_options.h"
#include "cli/interrupt.h"
#include "cli/networks/commands.h"
#include "cli/plan_options.h"
#include "cli/run.h"
#include "cli/table.h"
#include "core/base/printable.h"
#include "core/base/sha256.h"
#include "core/engine/output_place.h"
#include "core/engine/plan_checks.h"
#include "pipelines/calibration/calibrate_texts.h"
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

// The plan's result depends on the texts too.
void add_to_fingerprint(Plan& plan, const std::string& texts) {
  const std::string both = plan.fingerprint + texts;
  plan.fingerprint = to_hex(sha256(std::as_bytes(std::span(both))));
}

Status check_source(const Plan& plan) {
  if (plan.kind == CheckpointKind::model_directory && plan.components.size() == 1) return {};
  return Error(
      ErrorCode::unsupported,
      fmt::format("{}: --calibration takes the directory of one network", plan.source.string()),
      "give a component's directory, such as PIPELINE/text_encoder");
}

Result<pipelines::CalibrationTexts> texts_of(const CalibrationOptions& options) {
  pipelines::CalibrationTexts texts;
  PRECIS_ASSIGN(texts.texts, pipelines::read_texts(options.texts));
  texts.samples = options.samples;
  texts.max_tokens = options.max_tokens;
  texts.tokenizer = options.tokenizer;
  return texts;
}

nlohmann::json recipe_of(const CalibrationOptions& options,
                         const pipelines::CalibrationTexts& texts) {
  return {{"calibration",
           {{"file", std::filesystem::path(options.texts).filename().string()},
            {"samples", std::min(texts.samples, texts.texts.size())},
            {"max_tokens", texts.max_tokens},
            {"sha256", texts.fingerprint()}}}};
}

Result<int> quantize(const CalibratedQuantize& options, Session& session) {
  PRECIS_ASSIGN(const auto texts, texts_of(options.calibration));
  ResolveOptions extra;
  extra.container = container_of(options.run.output);
  extra.calibrated = true;
  extra.recipe = recipe_of(options.calibration, texts);
  PRECIS_ASSIGN(PlannedRun planned, options.plan.make_plan(session, extra));
  Plan& plan = planned.plan;
  for (const std::string& warning : plan.warnings) session.warn(warning);
  PRECIS_TRY(check_source(plan));
  PRECIS_TRY(check_memory(plan));
  add_to_fingerprint(plan, texts.fingerprint());
  const std::filesystem::path out = options.run.output;
  PRECIS_TRY(check_output_place(plan, out, with_suffix(out, ".partial"), options.run.force));
  PRECIS_ASSIGN(auto calibration,
                pipelines::open_text_calibration(options.plan.source, texts, session.resolver()));
  PRECIS_ASSIGN(const EncodedStore store, EncodedStore::open(with_suffix(out, ".calibration"),
                                                             plan.fingerprint, options.run.resume));
  CalibrationReport report;
  {
    const GracefulInterrupt interrupt;
    CalibrateOptions calibrate;
    calibrate.progress = LayerPrinter(options.run.progress, session.quiet);
    calibrate.cancel = &interrupt.requested();
    PRECIS_ASSIGN(report, pipelines::calibrate_texts(calibration, plan, store, calibrate));
  }
  run_loops_on_pool();
  for (const std::string& warning : report.warnings) session.warn(warning);
  const int code = run_plan(plan, options.run, session);
  if (code == kDone || code == kQuality) store.remove();
  return code;
}

}  // namespace

void add_quantize(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("quantize", "quantize a network by the texts it reads");
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
