// What networks need in memory beside their weights while they run, known before they do.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace precis::models {

// One call of a network.
struct Workload {
  int64_t batch = 1;
  int64_t tokens = 0;       // of a text, or of an image's patches
  int64_t text_tokens = 0;  // that a diffusion transformer takes beside the image's
  int64_t pixels = 0;       // of an image in a decoder's latents: height times width
};

// Bytes of activations alive at once, at most and at most half as much again as it takes; nothing
// for a class that is not known. config: config.json of the network. dtype: that it works in, on
// this machine's CPU. Error: std::invalid_argument naming the key of config.json.
std::optional<double> activation_bytes(const std::string& class_name, const nlohmann::json& config,
                                       const Workload& work, at::ScalarType dtype);

}  // namespace precis::models
