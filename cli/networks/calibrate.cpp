// precis calibrate: an importance matrix from texts.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/interrupt.h"
#include "cli/networks/calibration_data.h"
#include "cli/networks/commands.h"
#include "cli/plan_options.h"
#include "core/base/output_file.h"
#include "core/checkpoint/importance_matrix.h"
#include "core/engine/output_place.h"

namespace precis::cli {
namespace {

struct CalibrateCommand {
  PlanOptions plan;  // source and variant
  std::string output;
  CalibrationOptions calibration;
};

// Of a pipeline, its transformer: the names of text encoders would be those of one another.
Result<const Component*> component_of(const Checkpoint& checkpoint, CalibrationRequest& request) {
  if (checkpoint.kind == CheckpointKind::model_directory) return &checkpoint.components.front();
  for (const Component& component : checkpoint.components) {
    request.data = pipelines::calibration_data(component);
    if (request.data != pipelines::CalibrationData::denoising) continue;
    request.component = component.name;
    return &component;
  }
  return Error(
      ErrorCode::unsupported,
      fmt::format("{}: holds no transformer that precis can run", checkpoint.root.string()),
      "give a pipeline, or the directory of one network that reads texts");
}

Result<nlohmann::ordered_json> calibrate(const CalibrateCommand& options, Session& session) {
  const GracefulInterrupt interrupt;
  PRECIS_TRY(check_file_is_writable(options.output));
  PRECIS_ASSIGN(const CalibrationInput input, CalibrationInput::read(options.calibration));
  PRECIS_ASSIGN(const PlannedRun planned, options.plan.make_plan(session, {}));
  PRECIS_ASSIGN(const Checkpoint checkpoint,
                open_checkpoint(options.plan.source, {options.plan.variant}));
  CalibrationRequest request{options.plan.source, "", options.plan.variant};
  PRECIS_ASSIGN(const Component* const component, component_of(checkpoint, request));
  PRECIS_TRY(input.check(request, session));
  PRECIS_ASSIGN(
      const EncodedStore store,
      EncodedStore::open(with_suffix(options.output, ".calibration"),
                         planned.plan.fingerprint + input.fingerprint(request.data), true));
  PRECIS_ASSIGN(auto calibration,
                input.open(request, store, "plain", &interrupt.requested(), session));
  ImportanceSource source;
  source.dataset = std::filesystem::path(options.calibration.texts).filename().string();
  source.chunks = static_cast<uint32_t>(calibration.samples.size());
  source.chunk_tokens = static_cast<uint32_t>(std::max<std::size_t>(1, calibration.longest_tokens));
  nlohmann::ordered_json of_texts{{"texts", calibration.texts}};
  if (request.data == pipelines::CalibrationData::denoising)
    of_texts["recorded_steps"] = calibration.samples.size();
  else
    of_texts["tokens"] = calibration.tokens;
  const auto progress = [&](std::size_t done, std::size_t total) {
    if (!session.quiet) fmt::print(stderr, "{}/{} blocks\n", done, total);
  };
  PRECIS_ASSIGN(
      const ImportanceSums sums,
      pipelines::collect_importance(calibration, *component,
                                    ActivationMemory(store.scratch(), planned.plan.max_memory),
                                    progress, &interrupt.requested()));
  PRECIS_TRY(write_importance_matrix(options.output, sums, source));
  store.remove();
  nlohmann::ordered_json report{{"output", options.output}, {"weights", sums.size()}};
  report.update(of_texts);
  return report;
}

}  // namespace

void add_calibrate(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "calibrate", "collect the importance of every weight's inputs from texts, for --imatrix");
  auto options = std::make_shared<CalibrateCommand>();
  command
      ->add_option("DIR", options->plan.source,
                   "a model directory, or a pipeline whose transformer is meant")
      ->required();
  command->add_option("-o,--output", options->output, "the importance matrix, GGUF as llama.cpp's")
      ->type_name("FILE")
      ->required();
  command->add_option("--variant", options->plan.variant, "of the weight files, such as fp16");
  options->calibration.add_options(*command)->required();
  session.add_options(*command);
  command->callback([options, &session, &result] {
    session.apply();
    if (session.threads > 0u) at::set_num_threads(static_cast<int>(*session.threads));
    auto report = calibrate(*options, session);
    if (!report.ok()) {
      result = session.fail(report.error());
      return;
    }
    if (session.json) session.print(*report);
    const bool images = report->contains("recorded_steps");
    session.show(
        fmt::format("{}: {} weights, {} texts, {} {}\n", options->output,
                    (*report)["weights"].get<std::size_t>(), (*report)["texts"].get<std::size_t>(),
                    report->back().get<std::size_t>(), images ? "recorded steps" : "tokens"));
    result = kDone;
  });
}

}  // namespace precis::cli
