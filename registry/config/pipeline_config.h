// quantization_config for a whole pipeline: both forms of diffusers' PipelineQuantizationConfig,
// precis' own mapping of components, and a single config for everything.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/resolve.h"

namespace precis {

// PipelineQuantizationConfig of diffusers 0.42 (quantizers/pipe_quant_config.py).
struct PipelineConfig {
  // The backend form: quant_backend with quant_kwargs (any JSON until a component asks for them).
  std::string backend;
  nlohmann::json kwargs = nlohmann::json::object();
  std::vector<std::string> components;  // components_to_quantize; empty: all

  // The mapping form, which may be given beside quant_kwargs and components_to_quantize: component
  // to quantization_config, an object or a config string.
  bool granular = false;
  std::map<std::string, nlohmann::json> mapping;

  // Component names that the config speaks of; diffusers warns of those that the pipeline lacks.
  std::vector<std::string> names() const;
};

// How a pipeline's config is read.
struct PipelineReading {
  bool lenient = false;
  // As diffusers: a quant_backend must be in the registries of both libraries, and its config
  // classes must take the same names. Otherwise any method with a plugin is one.
  bool python = false;
};

// Reads the fields of a PipelineQuantizationConfig, in the order of its own checks. Errors:
// invalid_argument, naming the field; invalid_type for fields of another type.
Result<PipelineConfig> parse_pipeline_config(const nlohmann::json& config,
                                             const PipelineReading& reading);

// The quantization_config for one component (an object or a config string); nothing: it is not
// quantized. Errors:
// invalid_type when quant_kwargs is no object; invalid_argument for a component that is listed in
// components_to_quantize, not mapped, and has no quant_backend.
Result<std::optional<nlohmann::json>> component_config(const PipelineConfig& config,
                                                       const std::string& component);

// Reads `config`, the path of a JSON or TOML file or the config itself as JSON or config string,
// and adds what it asks for to `options`. Errors: invalid_argument for a form that is none of
// these, for unknown components (a warning when lenient, as in Python) and for contradictions.
Status apply_pipeline_config(const std::string& config, const Checkpoint& checkpoint, bool lenient,
                             ResolveOptions& options);

// A config in any of its forms: the path of a file or of a model's directory (see
// read_config_file), a JSON or TOML text; a config string or preset comes back as it is, as a JSON
// text. Errors: those of read_config_file; io for what looks like a path and is not there.
Result<nlohmann::json> read_config(const std::string& text);

// Whether an object is one quantization_config, and whether it is a PipelineQuantizationConfig;
// neither: a mapping of components.
bool is_single_config(const nlohmann::json& document);
bool has_pipeline_fields(const nlohmann::json& document);

// A config file as JSON; TOML when the name ends in .toml. A model's config.json, or the directory
// it is in, gives its quantization_config (transformers 4.5x, AutoQuantizationConfig's
// from_pretrained). Errors name file and line; invalid_argument also for a model that is not
// quantized.
Result<nlohmann::json> read_config_file(const std::string& name);

}  // namespace precis
