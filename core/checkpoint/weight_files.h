// Finding and opening the weight files of one model directory.
#pragma once

#include <filesystem>

#include "core/checkpoint/checkpoint.h"

namespace precis {

// Fills in files, tensors, weights_name and variant of `component` from `directory`. False: the directory
// has no weights. used: the weight and index files, absolute.
Result<bool> open_weight_files(const std::filesystem::path& directory, const std::string& variant,
                               Component& component, std::vector<std::filesystem::path>& used);

// The same for an index file, "model.safetensors.index.json".
Status open_indexed_files(const std::filesystem::path& index, Component& component,
                          std::vector<std::filesystem::path>& used);

// Opens one file of weights and adds its tensors. Error data_loss: a name that is there already.
Status add_weight_file(const std::filesystem::path& path, Component& component);

// A JSON file of at most 64 MiB. Errors name the file and the place.
Result<nlohmann::json> read_json_file(const std::filesystem::path& path);

}  // namespace precis
