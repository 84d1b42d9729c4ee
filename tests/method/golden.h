// The recorded outputs of a method's Python library; tests/oracle/README.md says what the files
// hold.
#pragma once

#include <filesystem>
#include <memory>

#include "core/format/container.h"
#include "tests/method/method_test.h"

namespace precis {

// Those of the method under test.
std::vector<std::filesystem::path> golden_files();

// "hqq_4b_axis1_..." of a file's path, for the name of a test.
std::string golden_name(const std::filesystem::path& file);

struct Golden {
  explicit Golden(const std::filesystem::path& path);

  Bytes data(const std::string& name) const { return *file->data(*file->find(name)); }
  std::string spec() const { return folder->config(options).dump(); }
  // The library's tensors in the order that dequantize expects, with their sizes in the file.
  std::vector<PartSpec> stored_parts(const Quantizer& quantizer) const;

  std::shared_ptr<const Container> file;
  const GoldenFolder* folder = nullptr;
  nlohmann::json options;
  Param param;
};

}  // namespace precis
