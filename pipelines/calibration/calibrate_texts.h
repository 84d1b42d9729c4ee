// Calibrating the text networks of a model directory with texts.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/method_resolver.h"
#include "models/text_network.h"
#include "runtime/calibration/calibrate.h"
#include "runtime/calibration/importance.h"

namespace precis::pipelines {

struct CalibrationTexts {
  std::vector<std::string> texts;  // the first `samples` of them are used
  std::size_t samples = 128;
  int64_t max_tokens = 512;         // longer texts are cut; also at the network's own limit
  std::filesystem::path tokenizer;  // its directory; empty: the model's, or the one beside it

  // Of everything that the statistics depend on.
  std::string fingerprint() const;
};

// The texts of a file: a line each; empty lines are left out. Errors: io; invalid_argument for a
// file without a text.
Result<std::vector<std::string>> read_texts(const std::filesystem::path& file);

// A float network, and what the texts become before its first stage.
struct TextCalibration {
  std::shared_ptr<torch::nn::Module> network;
  models::TextNetwork* chain = nullptr;  // the network itself
  std::vector<Activations> samples;
  std::size_t tokens = 0;
};

// Loads the network of a model directory, held in float32, and tokenizes the texts. Errors:
// unsupported for networks that read no texts; those of load_network; invalid_argument without a
// text.
Result<TextCalibration> open_text_calibration(const std::filesystem::path& directory,
                                              const CalibrationTexts& texts,
                                              MethodResolver& methods);

// calibrate() for the one component of `plan`, whose source is a model directory.
Result<CalibrationReport> calibrate_texts(TextCalibration& calibration, Plan& plan,
                                          const EncodedStore& store, CalibrateOptions options);

// Sums of the squares of what reaches every Linear of the network, by the weight's name in the
// checkpoint at `directory`. progress: stages done, stages.
Result<ImportanceSums> collect_importance(
    TextCalibration& calibration, const std::filesystem::path& directory,
    const std::function<void(std::size_t, std::size_t)>& progress, const std::atomic<bool>* cancel);

}  // namespace precis::pipelines
