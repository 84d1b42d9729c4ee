// What a calibration has finished, on disk: one safetensors file a group of layers, or a prompt
// whose denoising was recorded; complete or not there at all, so that a killed run goes on behind
// the last of them.
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
  // Reopens `directory`, or will make it with the first file. What another fingerprint left there
  // is removed, and so is everything unless `resume`. Error invalid_argument for a directory that
  // holds something else.
  static Result<EncodedStore> open(std::filesystem::path directory, std::string fingerprint,
                                   bool resume);

  // Files of their own in the same directory: those of a component.
  EncodedStore section(const std::string& name) const;

  // The file of group `index`, or null: not finished.
  std::shared_ptr<const Container> find(std::size_t index) const;

  // Writes the file of group `index` and opens it. `facts` are kept with it. Errors: io;
  // unsupported for block formats that safetensors cannot hold.
  Result<std::shared_ptr<const Container>> add(std::size_t index,
                                               std::span<const EncodedTensor> tensors,
                                               const nlohmann::json& facts) const;

  // A name in the directory for a file that is no result.
  std::filesystem::path scratch() const;

  static nlohmann::json facts(const Container& file);

  // The whole directory, once the result is complete.
  void remove() const;

 private:
  EncodedStore(std::filesystem::path directory, std::string fingerprint)
      : directory_(std::move(directory)), fingerprint_(std::move(fingerprint)) {}

  Status make_directory() const;
  std::filesystem::path path_of(std::size_t index) const;

  std::filesystem::path directory_;
  std::string prefix_;  // of the names of its files
  std::string fingerprint_;
};

}  // namespace precis
