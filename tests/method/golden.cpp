#include "tests/method/golden.h"

#include <gtest/gtest.h>

namespace precis {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Beside the plugin, or among those that were recorded together.
fs::path folder_of(const GoldenFolder& golden) {
  const fs::path source(PRECIS_SOURCE_DIR);
  const fs::path beside =
      source / "plugins" / method_under_test().plugin / "golden" / golden.folder;
  return fs::is_directory(beside) ? beside : source / "tests/oracle/golden" / golden.folder;
}

}  // namespace

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const GoldenFolder& golden : method_under_test().golden) {
    for (const auto& entry : fs::directory_iterator(folder_of(golden))) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string golden_name(const fs::path& file) {
  std::string name = file.parent_path().filename().string() + "_" + file.stem().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

Golden::Golden(const fs::path& path) {
  auto opened = Container::open(path);
  EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().text());
  file = *opened;
  for (const GoldenFolder& candidate : method_under_test().golden) {
    if (candidate.folder == path.parent_path().filename()) folder = &candidate;
  }
  options = json::parse(file->metadata().at("config").get<std::string>());
  const TensorEntry& weight = *file->find("input.weight");
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = weight.dtype;
  param.shape = weight.shape;
  if (options.contains("imatrix") && !options["imatrix"].is_null()) {
    auto importance = std::make_shared<std::vector<float>>(param.row_elements(), 1.0f);
    if (options["imatrix"].is_array()) *importance = options["imatrix"].get<std::vector<float>>();
    param.importance = importance;
  }
}

std::vector<PartSpec> Golden::stored_parts(const Quantizer& quantizer) const {
  std::vector<PartSpec> specs;
  if (folder->read_only) {
    if (const auto parts = folder->read_only(options, param)) specs = *parts;
  }
  if (specs.empty()) {
    auto plan = quantizer.plan(param);
    EXPECT_TRUE(plan.ok()) << plan.error().text();
    specs = plan->parts;
  }
  for (PartSpec& spec : specs) spec.nbytes = data("expected." + spec.name).size();
  return specs;
}

}  // namespace precis
