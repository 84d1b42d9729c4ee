// What a network is calibrated with, as the command line asks.
#pragma once

#include <filesystem>
#include <string>

#include "cli/calibration_options.h"
#include "cli/session.h"
#include "pipelines/calibration/denoising_calibration.h"
#include "pipelines/calibration/text_calibration.h"
#include "pipelines/networks.h"

namespace precis::cli {

// Of the component of a pipeline, or of the lone network of a model directory.
struct CalibrationRequest {
  std::filesystem::path source;  // the pipeline's directory, or the model's
  std::string component;         // empty: the model directory's network
  std::string variant;           // of the weight files
  pipelines::CalibrationData data = pipelines::CalibrationData::texts;
};

class CalibrationInput {
 public:
  // Reads the texts; no network yet. Errors: those of read_texts.
  static Result<CalibrationInput> read(const CalibrationOptions& options);

  // Whether the request can be met, as far as that shows before a weight is read.
  Status check(const CalibrationRequest& request, Session& session) const;
  // Of everything that the samples of such data depend on.
  std::string fingerprint(pipelines::CalibrationData data) const;
  // For the recipe.
  nlohmann::json to_json() const;

  // Loads the float network and makes its samples. Recorded inputs of a transformer are kept in a
  // section of `store`. mode: of --progress.
  Result<pipelines::NetworkCalibration> open(const CalibrationRequest& request,
                                             const EncodedStore& store, const std::string& mode,
                                             const std::atomic<bool>* cancel,
                                             Session& session) const;

 private:
  std::string file_;              // the texts'
  std::string denoising_option_;  // one that was given; empty: none
  pipelines::CalibrationTexts texts_;
  pipelines::DenoisingCalibration denoising_;
};

}  // namespace precis::cli
