#include "cli/denoising_options.h"

namespace precis::cli {

std::vector<CLI::Option*> DenoisingOptions::add_options(CLI::App& command) {
  return {command.add_option("--negative-prompt", negative_prompt, "what it does not show"),
          command.add_option("--steps", steps, "denoising steps")->capture_default_str(),
          command.add_option("--seed", seed, "of the noise, as torch.manual_seed takes it")
              ->capture_default_str(),
          command.add_option("--guidance", guidance, "guidance scale; default: the pipeline's"),
          command.add_option("--height", height, "pixels; default: the network's"),
          command.add_option("--width", width, "pixels; default: the network's"),
          command.add_option("--max-sequence-length", max_sequence_length,
                             "tokens of the T5 encoder; default: the pipeline's")};
}

}  // namespace precis::cli
