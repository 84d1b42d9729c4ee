// The options of what is calibrated with texts, or by making images of them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/denoising_options.h"

namespace precis::cli {

struct CalibrationOptions {
  std::string texts, tokenizer;
  std::size_t samples = 0;  // 0: not given
  int64_t max_tokens = 512;
  DenoisingOptions denoising;
  int64_t recorded_steps = 4;
  std::string denoising_option;  // the first one that was given and is for pipelines alone

  bool asked() const { return !texts.empty(); }
  // Gives the option of the texts.
  CLI::Option* add_options(CLI::App& command);
};

}  // namespace precis::cli
