// precis calibrate: an importance matrix from texts.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/calibration_options.h"
#include "cli/interrupt.h"
#include "cli/networks/commands.h"
#include "core/base/output_file.h"
#include "pipelines/calibration/calibrate_texts.h"

namespace precis::cli {
namespace {

struct CalibrateCommand {
  std::string source, output;
  CalibrationOptions calibration;
};

Result<nlohmann::ordered_json> calibrate(const CalibrateCommand& options, Session& session) {
  const GracefulInterrupt interrupt;
  const std::filesystem::path output(options.output);
  PRECIS_TRY(check_directory_is_writable(output.parent_path()));
  pipelines::CalibrationTexts texts;
  PRECIS_ASSIGN(texts.texts, pipelines::read_texts(options.calibration.texts));
  texts.samples = options.calibration.samples;
  texts.max_tokens = options.calibration.max_tokens;
  texts.tokenizer = options.calibration.tokenizer;
  PRECIS_ASSIGN(auto calibration,
                pipelines::open_text_calibration(options.source, texts, session.resolver()));
  ImportanceSource source;
  source.dataset = std::filesystem::path(options.calibration.texts).filename().string();
  source.chunks = static_cast<uint32_t>(calibration.samples.size());
  for (const Activations& sample : calibration.samples) {
    source.chunk_tokens =
        std::max(source.chunk_tokens, static_cast<uint32_t>(sample.front().size(1)));
  }
  const auto progress = [&](std::size_t done, std::size_t total) {
    if (!session.quiet) fmt::print(stderr, "{}/{} blocks\n", done, total);
  };
  PRECIS_ASSIGN(
      const ImportanceSums sums,
      pipelines::collect_importance(calibration, options.source, progress, &interrupt.requested()));
  PRECIS_TRY(write_importance_matrix(options.output, sums, source));
  return nlohmann::ordered_json{{"output", options.output},
                                {"weights", sums.size()},
                                {"texts", source.chunks},
                                {"tokens", calibration.tokens}};
}

}  // namespace

void add_calibrate(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "calibrate", "collect the importance of every weight's inputs from texts, for --imatrix");
  auto options = std::make_shared<CalibrateCommand>();
  command->add_option("DIR", options->source, "a model directory")->required();
  command->add_option("-o,--output", options->output, "the importance matrix, GGUF as llama.cpp's")
      ->type_name("FILE")
      ->required();
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
    session.show(fmt::format("{}: {} weights, {} texts, {} tokens\n", options->output,
                             (*report)["weights"].get<std::size_t>(),
                             (*report)["texts"].get<std::size_t>(),
                             (*report)["tokens"].get<std::size_t>()));
    result = kDone;
  });
}

}  // namespace precis::cli
