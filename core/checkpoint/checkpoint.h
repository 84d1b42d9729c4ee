// A checkpoint as it lies on the disk: its components and their tensors, never the data.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/format/container.h"

namespace precis {

enum class CheckpointKind {
  pipeline,         // a diffusers pipeline: model_index.json and a directory for each component
  model_directory,  // config.json and weights of one model
  single_file,      // one .safetensors or .gguf
};

// A tensor of a component: which of its files holds it.
struct TensorRef {
  std::size_t file = 0;
  const TensorEntry* entry = nullptr;
};

struct Component {
  std::string name;                 // "transformer"; empty for a lone model
  std::string library;              // "diffusers", "transformers"; empty: not told
  std::string class_name;           // "SD3Transformer2DModel"; empty: not told
  std::filesystem::path directory;  // relative to the root
  nlohmann::json config;            // its config.json; null when there is none
  std::vector<std::shared_ptr<const Container>> files;
  // Of a pipeline's component, relative to the root: its weight files, their index, config.json.
  std::vector<std::filesystem::path> source_files;
  std::vector<TensorRef> tensors;  // unique names, in stored order
  std::string weights_name;        // "diffusion_pytorch_model", "model": stem of its weight files
  std::string variant;             // "fp16"; empty: none
  std::string family;              // see family.h

  // The quantization_config of its config.json, or of a lone file's metadata; null when there is
  // none.
  const nlohmann::json* quantization_config() const;
};

struct Checkpoint {
  std::filesystem::path root;
  CheckpointKind kind = CheckpointKind::pipeline;
  nlohmann::json model_index;
  std::vector<Component> components;  // those with weights, in the order of model_index.json
  // Everything else, relative to the root and sorted: tokenizers, schedulers, model_index.json.
  // Weight files, their indices and the components' config.json are not among them.
  std::vector<std::filesystem::path> other_files;
};

struct OpenOptions {
  // Of the weight files; empty: the plain ones, else the only variant there is. Components of a
  // pipeline that do not have it give their plain ones, as with diffusers; one must have it.
  std::string variant;
};

// Opens a pipeline directory, a model directory, an index (*.safetensors.index.json, which stands
// for its model directory) or a single .safetensors or .gguf file. Reads headers and JSON only.
// Weights in several forms are chosen as the Python libraries choose; where they would take any,
// the caller is asked. Errors: io, data_loss, not_found, unsupported, invalid_argument; each names
// the file and what to do.
Result<Checkpoint> open_checkpoint(const std::filesystem::path& path,
                                   const OpenOptions& options = {});

}  // namespace precis
