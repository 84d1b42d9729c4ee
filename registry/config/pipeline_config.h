// quantization_config for a whole pipeline: both forms of diffusers' PipelineQuantizationConfig,
// precis' own mapping of components, and a single config for everything.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/engine/resolve.h"

namespace precis {

// Reads `config`, the path of a JSON or TOML file or the config itself as JSON or config string,
// and adds what it asks for to `options`. Errors: invalid_argument for a form that is none of
// these, for unknown components (a warning when lenient, as in Python) and for contradictions.
Status apply_pipeline_config(const std::string& config, const Checkpoint& checkpoint, bool lenient,
                             ResolveOptions& options);

// A config file as JSON; TOML when the name ends in .toml. A model's config.json gives its
// quantization_config. Errors name file and line.
Result<nlohmann::json> read_config_file(const std::string& path);

}  // namespace precis
