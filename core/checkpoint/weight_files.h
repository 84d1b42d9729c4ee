// Finding and opening the weight files of one model directory.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.h"

namespace precis {

// Which of several variants of the weights to open.
struct VariantChoice {
  std::string name;       // empty: the plain weights, else the only variant there is
  bool or_plain = false;  // without that variant take the plain weights
};

// Fills in files, tensors, weights_name and variant of `component` from `directory`. False: the
// directory has no weights. used: the weight and index files, absolute. Errors: io, data_loss,
// not_found for a variant that is not there, invalid_argument where the choice is the user's,
// unsupported for pickles.
Result<bool> open_weight_files(const std::filesystem::path& directory, const VariantChoice& variant,
                               Component& component, std::vector<std::filesystem::path>& used);

// The same for an index file, "model.safetensors.index.json".
Status open_indexed_files(const std::filesystem::path& index, Component& component,
                          std::vector<std::filesystem::path>& used);

// The same for one file. Error invalid_argument: it is a shard of several.
Status open_lone_file(const std::filesystem::path& path, Component& component);

// True for files that hold weights in a form of the Python libraries or of another framework.
bool is_weight_file(const std::filesystem::path& path);

}  // namespace precis
