// The wishes of a run as a file: what `precis plan --emit-recipe` writes and --recipe reads.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace precis::cli {

// Everything that changes a result, and the limits it was made within. Texts are spelt as on the
// command line; an empty one is not given.
struct Recipe {
  std::string type;
  std::vector<std::pair<std::string, std::string>> components;  // name, config string or "keep"
  std::vector<std::pair<std::string, std::string>> rules;       // regular expression, config string
  std::vector<std::string> skips;                               // regular expressions
  bool default_skips = true;
  bool lenient = false;
  bool allow_requantize = false;  // of quantized weights that a format cannot hold exactly
  std::string imatrix, variant, max_shard_size;
  // These leave the result as it is.
  std::string max_memory;
  std::optional<unsigned> threads;

  // What changes the result, as it goes into the files' provenance.
  nlohmann::json provenance() const;
};

// Reads a TOML file. Errors: io; invalid_argument, naming the file and the key, for what is no part
// of a recipe and for a value of another type.
Result<Recipe> read_recipe(const std::string& path);

std::string recipe_toml(const Recipe& recipe);

}  // namespace precis::cli
