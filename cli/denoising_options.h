// How a pipeline makes an image: options of what runs one.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace precis::cli {

struct DenoisingOptions {
  std::string negative_prompt;
  int64_t steps = 28;
  uint64_t seed = 0;
  std::optional<double> guidance;
  int64_t height = 0, width = 0;
  int64_t max_sequence_length = 0;

  // Gives the options.
  std::vector<CLI::Option*> add_options(CLI::App& command);
};

}  // namespace precis::cli
