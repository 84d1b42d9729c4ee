#include "core/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/output_file.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/weight_files.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The class of a lone model, from the config.json of either library.
void identify(Component& component) {
  const json& config = component.config;
  if (config.is_object()) {
    if (config.contains("_class_name") && config["_class_name"].is_string()) {
      component.library = "diffusers";
      component.class_name = config["_class_name"];
    } else if (config.contains("architectures") && config["architectures"].is_array() &&
               !config["architectures"].empty() && config["architectures"][0].is_string()) {
      component.library = "transformers";
      component.class_name = config["architectures"][0];
    } else if (config.contains("model_type")) {
      component.library = "transformers";
    }
  }
}

Status read_config(const fs::path& directory, Component& component, std::vector<fs::path>& used) {
  const fs::path path = directory / "config.json";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  PRECIS_ASSIGN(component.config, read_json_file(path));
  if (!component.config.is_object()) {
    return Error(ErrorCode::data_loss, fmt::format("{}: is not a JSON object", path.string()));
  }
  used.push_back(path);
  return {};
}

// Everything below the root that is not in `used`; hidden directories of caches are left out.
Status collect_other_files(const fs::path& root, const std::vector<fs::path>& used, Checkpoint& out) {
  std::set<fs::path> known;
  for (const fs::path& path : used) known.insert(path.lexically_normal());
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink, error);
  if (error) return system_error(root, "list", error.value());
  for (const fs::directory_entry& entry : walk) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".")) continue;
    if (!entry.is_regular_file(error)) continue;
    const fs::path relative = entry.path().lexically_relative(root);
    const bool hidden = std::any_of(relative.begin(), relative.end(), [](const fs::path& part) {
      return part.string().starts_with(".");
    });
    // Weights of a variant that was not chosen would be loaded in place of the quantized ones.
    const bool weights = name.find(".safetensors") != std::string::npos || name.ends_with(".gguf") ||
                         (name.ends_with(".bin") && name.find("_model") != std::string::npos);
    if (hidden || weights || known.contains(entry.path().lexically_normal())) continue;
    out.other_files.push_back(relative);
  }
  std::sort(out.other_files.begin(), out.other_files.end());
  return {};
}

Result<Checkpoint> open_pipeline(const fs::path& root, const OpenOptions& options) {
  Checkpoint checkpoint{root, CheckpointKind::pipeline, {}, {}, {}};
  PRECIS_ASSIGN(checkpoint.model_index, read_json_file(root / "model_index.json"));
  if (!checkpoint.model_index.is_object()) {
    return Error(ErrorCode::data_loss,
                 fmt::format("{}: is not a JSON object", (root / "model_index.json").string()));
  }
  std::vector<fs::path> used;
  for (const auto& [name, value] : checkpoint.model_index.items()) {
    const bool is_component = !name.starts_with("_") && value.is_array() && value.size() == 2 &&
                              value[0].is_string() && value[1].is_string();
    if (!is_component) continue;
    if (name.find('/') != std::string::npos || name == "..") {
      return Error(ErrorCode::data_loss, fmt::format("model_index.json: '{}' is no component's name", name));
    }
    Component component;
    component.name = name;
    component.directory = name;
    component.library = value[0];
    component.class_name = value[1];
    const fs::path directory = root / name;
    std::error_code error;
    if (!fs::is_directory(directory, error)) {
      return Error(ErrorCode::not_found,
                   fmt::format("{}: model_index.json names the component '{}', but its directory is missing",
                               root.string(), name),
                   "fetch the whole pipeline again");
    }
    std::vector<fs::path> component_files;
    auto found = open_weight_files(directory, options.variant, component, component_files);
    if (!found.ok()) return std::move(found).error().with_context(fmt::format("component {}", name));
    if (!*found) continue;
    PRECIS_TRY(read_config(directory, component, component_files));
    component.family = detect_family(component);
    used.insert(used.end(), component_files.begin(), component_files.end());
    checkpoint.components.push_back(std::move(component));
  }
  if (checkpoint.components.empty()) {
    return Error(ErrorCode::not_found, fmt::format("{}: no component has weights", root.string()));
  }
  PRECIS_TRY(collect_other_files(root, used, checkpoint));
  return checkpoint;
}

Result<Checkpoint> open_model_directory(const fs::path& root, const OpenOptions& options) {
  Checkpoint checkpoint{root, CheckpointKind::model_directory, {}, {}, {}};
  Component component;
  std::vector<fs::path> used;
  PRECIS_ASSIGN(const bool found, open_weight_files(root, options.variant, component, used));
  if (!found) {
    return Error(ErrorCode::not_found,
                 fmt::format("{}: holds neither model_index.json nor weights", root.string()),
                 "give a diffusers pipeline, a model directory, a .safetensors or a .gguf file");
  }
  PRECIS_TRY(read_config(root, component, used));
  identify(component);
  component.family = detect_family(component);
  checkpoint.components.push_back(std::move(component));
  PRECIS_TRY(collect_other_files(root, used, checkpoint));
  return checkpoint;
}

Result<Checkpoint> open_single(const fs::path& path) {
  Checkpoint checkpoint{path, CheckpointKind::single_file, {}, {}, {}};
  Component component;
  std::vector<fs::path> used;
  if (path.string().ends_with(".index.json")) {
    PRECIS_TRY(open_indexed_files(path, component, used));
  } else {
    PRECIS_TRY(add_weight_file(path, component));
  }
  component.weights_name = path.stem().string();
  // A lone file has no config.json: precis keeps the config of its quantization in the metadata.
  const auto& metadata = component.files.front()->metadata();
  if (metadata.contains("quantization_config") && metadata["quantization_config"].is_string()) {
    const json config = json::parse(metadata["quantization_config"].get<std::string>(), nullptr, false);
    if (config.is_object()) component.config = {{"quantization_config", config}};
  }
  component.family = detect_family(component);
  checkpoint.components.push_back(std::move(component));
  return checkpoint;
}

}  // namespace

const json* Component::quantization_config() const {
  if (!config.is_object()) return nullptr;
  const auto found = config.find("quantization_config");
  return found == config.end() || !found->is_object() ? nullptr : &*found;
}

Result<Checkpoint> open_checkpoint(const fs::path& path, const OpenOptions& options) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return Error(ErrorCode::io, fmt::format("{}: does not exist", path.string()),
                 "check the spelling of the path");
  }
  if (!fs::is_directory(status)) return open_single(path);
  if (fs::exists(path / "model_index.json", error)) return open_pipeline(path, options);
  return open_model_directory(path, options);
}

}  // namespace precis
