// Calibrating the text networks of a model directory with texts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/engine/method_resolver.h"
#include "pipelines/calibration/network_calibration.h"

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

// Loads the network of a model directory, held in float32, and tokenizes the texts. variant: of its
// weight files. Errors: unsupported for networks that read no texts; those of load_network;
// invalid_argument without a text.
Result<NetworkCalibration> open_text_calibration(const std::filesystem::path& directory,
                                                 const std::string& variant,
                                                 const CalibrationTexts& texts,
                                                 MethodResolver& methods);

}  // namespace precis::pipelines
