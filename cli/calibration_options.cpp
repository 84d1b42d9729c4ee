#include "cli/calibration_options.h"

namespace precis::cli {

CLI::Option* CalibrationOptions::add_options(CLI::App& command) {
  auto* option = command.add_option(
      "--calibration", texts,
      "texts to run through the network, or to make images of with the pipeline, a line each");
  option->type_name("FILE");
  command
      .add_option("--samples", samples,
                  "how many of the texts are used; 128 when not given, of images 32")
      ->needs(option)
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20));
  command.add_option("--max-tokens", max_tokens, "where longer texts are cut")
      ->needs(option)
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--tokenizer", tokenizer, "its directory, when it is not the model's")
      ->needs(option)
      ->type_name("DIR");
  auto of_images = denoising.add_options(command);
  of_images.push_back(
      command
          .add_option("--recorded-steps", recorded_steps,
                      "at how many of the steps the inputs of the transformer are recorded")
          ->check(CLI::Range(int64_t{1}, int64_t{1} << 16))
          ->capture_default_str());
  for (CLI::Option* one : of_images) {
    one->needs(option)->each(
        [this, one](const std::string&) { denoising_option = one->get_name(); });
    one->group("Calibration by making images");
  }
  return option;
}

}  // namespace precis::cli
