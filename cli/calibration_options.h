// The options of what is calibrated with texts.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace precis::cli {

struct CalibrationOptions {
  std::string texts, tokenizer;
  std::size_t samples = 128;
  int64_t max_tokens = 512;

  bool asked() const { return !texts.empty(); }
  // Gives the option of the texts.
  CLI::Option* add_options(CLI::App& command);
};

}  // namespace precis::cli
