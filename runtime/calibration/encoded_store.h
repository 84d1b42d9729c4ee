// What a calibration has finished, on disk: one safetensors file a group of layers, complete or not
// there at all, so that a killed run goes on behind the last of them.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/format/container.h"
#include "core/format/layout.h"

namespace precis {

// A tensor for a file of the store.
struct EncodedTensor {
  PlannedTensor planned;
  std::span<const std::byte> bytes;
};

class EncodedStore {
 public:
  // Makes or reopens `directory`. What another fingerprint left there is removed, and so is
  // everything unless `resume`. Error io.
  static Result<EncodedStore> open(std::filesystem::path directory, std::string fingerprint,
                                   bool resume);

  // The file of group `index`, or null: not finished.
  std::shared_ptr<const Container> find(std::size_t index) const;

  // Writes the file of group `index` and opens it. `facts` are kept with it. Errors: io;
  // unsupported for block formats that safetensors cannot hold.
  Result<std::shared_ptr<const Container>> add(std::size_t index,
                                               std::span<const EncodedTensor> tensors,
                                               const nlohmann::json& facts) const;

  static nlohmann::json facts(const Container& file);

  // The whole directory, once the result is complete.
  void remove() const;

 private:
  EncodedStore(std::filesystem::path directory, std::string fingerprint)
      : directory_(std::move(directory)), fingerprint_(std::move(fingerprint)) {}

  std::filesystem::path path_of(std::size_t index) const;

  std::filesystem::path directory_;
  std::string fingerprint_;
};

}  // namespace precis
