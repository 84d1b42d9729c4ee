#include "cli/networks/calibration_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/networks/commands.h"

namespace precis::cli {
namespace {

using pipelines::CalibrationData;

constexpr std::size_t kTexts = 128, kImages = 32;

void print_recorded(const std::string& mode, std::size_t done, std::size_t total) {
  if (mode == "none") return;
  if (mode == "json") {
    fmt::print(stderr, "{}\n",
               nlohmann::ordered_json{{"prompts_recorded", done}, {"prompts", total}}.dump());
  } else {
    fmt::print(stderr, "{}/{} prompts recorded\n", done, total);
  }
}

}  // namespace

Result<CalibrationInput> CalibrationInput::read(const CalibrationOptions& options) {
  CalibrationInput input;
  input.file_ = std::filesystem::path(options.texts).filename().string();
  input.denoising_option_ = options.denoising_option;
  PRECIS_ASSIGN(input.texts_.texts, pipelines::read_texts(options.texts));
  input.texts_.samples = options.samples > 0 ? options.samples : kTexts;
  input.texts_.max_tokens = options.max_tokens;
  input.texts_.tokenizer = options.tokenizer;
  input.denoising_.prompts = input.texts_;
  input.denoising_.prompts.samples = options.samples > 0 ? options.samples : kImages;
  set_denoising(options.denoising, input.denoising_.generate);
  input.denoising_.recorded_steps = options.recorded_steps;
  return input;
}

Status CalibrationInput::check(const CalibrationRequest& request, Session& session) const {
  if (request.data == CalibrationData::denoising) {
    return pipelines::check_denoising(request.source, request.variant, denoising_,
                                      session.resolver());
  }
  return {};
}

std::string CalibrationInput::fingerprint(CalibrationData data) const {
  return data == CalibrationData::denoising ? denoising_.fingerprint() : texts_.fingerprint();
}

nlohmann::json CalibrationInput::to_json() const {
  return {{"file", file_},
          {"samples", std::min(texts_.samples, texts_.texts.size())},
          {"max_tokens", texts_.max_tokens},
          {"sha256", texts_.fingerprint()},
          {"images",
           {{"samples", std::min(denoising_.prompts.samples, texts_.texts.size())},
            {"steps", denoising_.generate.steps},
            {"recorded_steps", denoising_.recorded_steps},
            {"seed", denoising_.generate.seed},
            {"sha256", denoising_.fingerprint()}}}};
}

Result<pipelines::NetworkCalibration> CalibrationInput::open(const CalibrationRequest& request,
                                                             const EncodedStore& store,
                                                             const std::string& mode,
                                                             const std::atomic<bool>* cancel,
                                                             Session& session) const {
  if (request.data == CalibrationData::denoising) {
    const auto progress = [&](std::size_t done, std::size_t total) {
      print_recorded(session.quiet ? "none" : mode, done, total);
    };
    return pipelines::record_denoising(request.source, request.component, request.variant,
                                       denoising_, store.section(request.component + ".inputs"),
                                       session.resolver(), progress, cancel);
  }
  const auto directory =
      request.component.empty() ? request.source : request.source / request.component;
  return pipelines::open_text_calibration(directory, request.variant, texts_, session.resolver());
}

}  // namespace precis::cli
