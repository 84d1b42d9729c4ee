#include "cli/calibration_options.h"

namespace precis::cli {

CLI::Option* CalibrationOptions::add_options(CLI::App& command) {
  auto* option =
      command.add_option("--calibration", texts, "texts to run through the network, a line each");
  option->type_name("FILE");
  command.add_option("--samples", samples, "how many of the texts are used")
      ->needs(option)
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20))
      ->capture_default_str();
  command.add_option("--max-tokens", max_tokens, "where longer texts are cut")
      ->needs(option)
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--tokenizer", tokenizer, "its directory, when it is not the model's")
      ->needs(option)
      ->type_name("DIR");
  return option;
}

}  // namespace precis::cli
