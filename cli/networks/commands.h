// The subcommands of the program that runs networks.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

#include "cli/denoising_options.h"
#include "cli/session.h"
#include "pipelines/pipeline.h"

namespace precis::cli {

// Each registers its subcommand; `result` receives the exit code when it runs.
void add_generate(CLI::App& app, Session& session, int& result);
void add_embed(CLI::App& app, Session& session, int& result);
void add_perplexity(CLI::App& app, Session& session, int& result);
void add_complete(CLI::App& app, Session& session, int& result);
void add_calibrate(CLI::App& app, Session& session, int& result);

// --device, of the commands that run networks.
void add_device_option(CLI::App& command, std::string& device);

void set_denoising(const DenoisingOptions& options, pipelines::GenerateOptions& generate);

// The value of --dtype: f32, bf16 or f16.
Result<at::ScalarType> activation_dtype(const std::string& name);

}  // namespace precis::cli
