// Importance of a weight's input columns, collected by `precis calibrate`, llama-imatrix or a
// similar tool.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace precis {

// One vector of float32 [in_features] for each weight, by the weight's name.
class ImportanceMatrix {
 public:
  using Vector = std::shared_ptr<const std::vector<float>>;

  // Reads both forms of llama.cpp (2026-08): the GGUF form (".in_sum2" and ".counts") and the older
  // binary one. Errors: io; data_loss, also for values that are negative, infinite or no number.
  static Result<std::shared_ptr<const ImportanceMatrix>> read(const std::filesystem::path& path);

  // Null when the file has nothing for this weight.
  Vector find(const std::string& weight_name) const;
  std::size_t size() const { return vectors_.size(); }
  // The file has this weight, but counts no data that reached it.
  bool without_data(const std::string& weight_name) const {
    return without_data_.contains(weight_name);
  }
  // One of its weights, for messages; empty: it has none.
  std::string first_name() const { return vectors_.empty() ? "" : vectors_.begin()->first; }
  // Of the whole file, 64 hex digits.
  const std::string& sha256() const { return sha256_; }

 private:
  Status read_gguf(const std::filesystem::path& path);
  Status read_binary(const std::string& bytes);

  Status add(std::string weight, std::vector<float> values, bool has_data);

  std::map<std::string, Vector> vectors_;
  std::set<std::string> without_data_;
  std::string sha256_;
};

// Of one weight: the sum over all rows x that reached it of x^2 by channel, and how many they were.
struct SquareSums {
  std::vector<float> sums;  // [in_features]
  uint64_t rows = 0;
};

// What a collection was made of.
struct ImportanceSource {
  std::string dataset;        // a name, for whoever reads the file
  uint32_t chunks = 0;        // texts
  uint32_t chunk_tokens = 0;  // of the longest
};

// Writes the GGUF form of llama.cpp (2026-08). Errors: io.
Status write_importance_matrix(const std::filesystem::path& path,
                               const std::map<std::string, SquareSums>& weights,
                               const ImportanceSource& source);

}  // namespace precis
