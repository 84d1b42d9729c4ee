// precis embed: texts to vectors.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/networks/commands.h"
#include "core/base/printable.h"
#include "models/tokenizers/tokenizer.h"
#include "pipelines/sentence/sentence_encoder.h"

namespace precis::cli {
namespace {

struct EmbedCommand {
  std::string source, method, device = "cpu";
  std::vector<std::string> texts;
};

Result<nlohmann::ordered_json> embed(const EmbedCommand& options, Session& session) {
  for (const std::string& text : options.texts) {
    PRECIS_TRY(models::check_text(text, fmt::format("--text '{}'", printable(text))));
  }
  pipelines::LoadOptions load;
  load.methods.type = options.method;
  load.device = options.device;
  PRECIS_ASSIGN(const auto encoder, pipelines::SentenceEncoder::from_pretrained(
                                        options.source, load, session.resolver()));
  nlohmann::ordered_json vectors = nlohmann::ordered_json::array();
  for (const std::string& text : options.texts) {
    PRECIS_ASSIGN(const at::Tensor vector, encoder->embed(text));
    const auto contiguous = vector.contiguous();
    const auto* first = contiguous.const_data_ptr<float>();
    vectors.push_back(std::vector<float>(first, first + contiguous.numel()));
  }
  const auto& report = encoder->report();
  return nlohmann::ordered_json{{"method", report.method},
                                {"source_bytes", report.source_bytes},
                                {"loaded_bytes", report.loaded_bytes},
                                {"embeddings", vectors}};
}

}  // namespace

void add_embed(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("embed", "the vectors of texts, by a BERT sentence encoder");
  auto options = std::make_shared<EmbedCommand>();
  command->add_option("DIR", options->source, "a model directory")->required();
  command->add_option("--text", options->texts, "a text; may be given several times")->required();
  command->add_option("--type", options->method, "method of the weights while they are loaded")
      ->type_name("SPEC");
  add_device_option(*command, options->device);
  session.add_options(*command);
  command->callback([options, &session, &result] {
    session.apply();
    if (session.threads > 0u) at::set_num_threads(static_cast<int>(*session.threads));
    auto report = embed(*options, session);
    if (!report.ok()) {
      result = session.fail(report.error());
      return;
    }
    if (session.json) {
      session.print(*report);
    } else {
      for (const auto& vector : (*report)["embeddings"]) {
        session.show(fmt::format("{}\n", fmt::join(vector.get<std::vector<float>>(), " ")));
      }
    }
    result = kDone;
  });
}

}  // namespace precis::cli
