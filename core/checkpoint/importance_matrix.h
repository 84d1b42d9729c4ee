// Importance of a weight's input columns, collected by llama-imatrix or a similar tool.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace precis {

// One vector of float32 [in_features] for each weight, by the weight's name.
class ImportanceMatrix {
 public:
  using Vector = std::shared_ptr<const std::vector<float>>;

  // Reads both forms of llama.cpp (2026-08): the GGUF form (".in_sum2" and ".counts") and the older
  // binary one. Errors: io, data_loss.
  static Result<std::shared_ptr<const ImportanceMatrix>> read(const std::filesystem::path& path);

  // Null when the file has nothing for this weight.
  Vector find(const std::string& weight_name) const;
  std::size_t size() const { return vectors_.size(); }

 private:
  Status read_gguf(const std::filesystem::path& path);
  Status read_binary(const std::string& bytes);

  std::map<std::string, Vector> vectors_;
};

}  // namespace precis
