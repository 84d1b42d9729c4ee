#include "core/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/output_file.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/weight_files.h"
#include "core/format/json_scanner.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxConfig = uint64_t{16} << 20;

struct ConfigFile {
  json document;
  std::string text;
};

// A JSON object of at most 16 MiB.
Result<ConfigFile> read_config_file(const fs::path& path) {
  PRECIS_ASSIGN(std::string text, read_file(path, kMaxConfig));
  auto document = parse_json(text);
  if (!document.ok()) return std::move(document).error().with_context(path.string());
  if (!document->is_object()) {
    return Error(ErrorCode::data_loss, fmt::format("{}: is not a JSON object", path.string()),
                 "fetch or write the checkpoint again");
  }
  return ConfigFile{*std::move(document), std::move(text)};
}

// The class of a lone model, from the config.json of either library.
void identify(Component& component) {
  const json& config = component.config;
  if (!config.is_object()) return;
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

// Older checkpoints of GPTQ tell of it in a file of its own, quantize_config.json.
Status read_quantize_config(const fs::path& directory, Component& component,
                            std::vector<fs::path>& used) {
  const fs::path path = directory / "quantize_config.json";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  PRECIS_ASSIGN(ConfigFile own, read_config_file(path));
  if (!own.document.is_object() || !own.document.contains("bits")) return {};
  if (!own.document.contains("quant_method")) own.document["quant_method"] = "gptq";
  component.config["quantization_config"] = std::move(own.document);
  used.push_back(path);
  return {};
}

Status read_config(const fs::path& directory, Component& component, std::vector<fs::path>& used) {
  const fs::path path = directory / "config.json";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  PRECIS_ASSIGN(ConfigFile config, read_config_file(path));
  component.config = std::move(config.document);
  const json own = component.config.value("quantization_config", json());
  if (!own.is_null() && !own.is_object()) {
    return Error(ErrorCode::data_loss,
                 fmt::format("{}: 'quantization_config' is {}, it must be an object", path.string(),
                             own.dump(-1, ' ', false, json::error_handler_t::replace)),
                 "remove the key if the model is not quantized");
  }
  used.push_back(path);
  if (own.is_null()) return read_quantize_config(directory, component, used);
  return {};
}

// Collects what is to be carried over. Caches of the hub are full of symbolic links: they are
// followed, each directory once.
class OtherFiles {
 public:
  OtherFiles(const Checkpoint& checkpoint, const std::vector<fs::path>& used)
      : root_(checkpoint.root), kind_(checkpoint.kind) {
    for (const fs::path& path : used) used_.insert(path.lexically_normal());
  }

  Result<std::vector<fs::path>> collect() {
    PRECIS_TRY(walk(root_));
    std::sort(found_.begin(), found_.end());
    return std::move(found_);
  }

 private:
  Status walk(const fs::path& directory) {
    std::error_code error;
    const fs::path real = fs::canonical(directory, error);
    if (!error && !visited_.insert(real).second) return {};
    fs::directory_iterator entry(directory, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      const fs::path& path = entry->path();
      if (path.filename().string().starts_with(".")) continue;  // .git, .cache
      std::error_code ignored;
      if (entry->is_directory(ignored)) {
        PRECIS_TRY(walk(path));
      } else if (entry->is_regular_file(ignored) && carried(path)) {
        found_.push_back(path.lexically_relative(root_));
      }
    }
    return error ? Status(system_error(directory, "list", error.value())) : Status();
  }

  // Copies of the weights in another form or variant would be loaded in place of the quantized
  // ones. Below a lone model, as sentence-transformers has them, weights belong to other modules.
  bool carried(const fs::path& path) const {
    if (used_.contains(path.lexically_normal())) return false;
    return !is_weight_file(path) ||
           (kind_ == CheckpointKind::model_directory && path.parent_path() != root_);
  }

  fs::path root_;
  CheckpointKind kind_;
  std::set<fs::path> used_, visited_;
  std::vector<fs::path> found_;
};

bool is_component(const std::string& name, const json& value) {
  return !name.starts_with("_") && value.is_array() && value.size() == 2 && value[0].is_string() &&
         value[1].is_string();
}

// False: the component has no weights, such as a scheduler or a tokenizer.
Result<bool> open_component(const fs::path& root, const OpenOptions& options, Component& component,
                            std::vector<fs::path>& used) {
  const fs::path directory = root / component.directory;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return Error(ErrorCode::not_found,
                 fmt::format("{}: model_index.json names it, but its directory is missing",
                             directory.string()),
                 "fetch the whole pipeline again");
  }
  std::vector<fs::path> files;
  PRECIS_ASSIGN(const bool found,
                open_weight_files(directory, {options.variant, true}, component, files));
  if (!found) return false;
  PRECIS_TRY(read_config(directory, component, files));
  component.family = detect_family(component);
  for (const fs::path& file : files)
    component.source_files.push_back(file.lexically_relative(root));
  used.insert(used.end(), files.begin(), files.end());
  return true;
}

Result<Checkpoint> open_pipeline(const fs::path& root, const OpenOptions& options) {
  Checkpoint checkpoint{root, CheckpointKind::pipeline, {}, {}, {}};
  PRECIS_ASSIGN(ConfigFile index, read_config_file(root / "model_index.json"));
  checkpoint.model_index = std::move(index.document);
  std::vector<fs::path> used;
  for (const std::string& name : object_keys(index.text)) {
    const json& value = checkpoint.model_index[name];
    if (!is_component(name, value)) continue;
    if (name.empty() || name.starts_with(".") ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{}: '{}' is no name of a component",
                               (root / "model_index.json").string(), name),
                   "fetch the pipeline again");
    }
    Component component;
    component.name = name;
    component.directory = name;
    component.library = value[0];
    component.class_name = value[1];
    auto found = open_component(root, options, component, used);
    if (!found.ok())
      return std::move(found).error().with_context(fmt::format("component {}", name));
    if (*found) checkpoint.components.push_back(std::move(component));
  }
  if (checkpoint.components.empty()) {
    return Error(ErrorCode::not_found, fmt::format("{}: no component has weights", root.string()),
                 "fetch the whole pipeline again");
  }
  const bool has_variant =
      options.variant.empty() ||
      std::any_of(checkpoint.components.begin(), checkpoint.components.end(),
                  [&](const Component& component) { return component.variant == options.variant; });
  if (!has_variant) {
    return Error(
        ErrorCode::not_found,
        fmt::format("{}: no component has weights of variant '{}'", root.string(), options.variant),
        "leave --variant out, or fetch that variant");
  }
  PRECIS_ASSIGN(checkpoint.other_files, OtherFiles(checkpoint, used).collect());
  return checkpoint;
}

Result<Checkpoint> finish_model_directory(const fs::path& root, Component component,
                                          std::vector<fs::path> used) {
  Checkpoint checkpoint{root, CheckpointKind::model_directory, {}, {}, {}};
  PRECIS_TRY(read_config(root, component, used));
  identify(component);
  component.family = detect_family(component);
  checkpoint.components.push_back(std::move(component));
  PRECIS_ASSIGN(checkpoint.other_files, OtherFiles(checkpoint, used).collect());
  return checkpoint;
}

Result<Checkpoint> open_model_directory(const fs::path& root, const OpenOptions& options) {
  Component component;
  std::vector<fs::path> used;
  PRECIS_ASSIGN(const bool found,
                open_weight_files(root, {options.variant, false}, component, used));
  if (!found) {
    return Error(ErrorCode::not_found,
                 fmt::format("{}: holds neither model_index.json nor weights", root.string()),
                 "give a diffusers pipeline, a model directory, a .safetensors or a .gguf file");
  }
  return finish_model_directory(root, std::move(component), std::move(used));
}

// The model directory of an index, with the weights that this index names.
Result<Checkpoint> open_index(const fs::path& path) {
  Component component;
  std::vector<fs::path> used;
  PRECIS_TRY(open_indexed_files(path, component, used));
  const fs::path root = path.has_parent_path() ? path.parent_path() : fs::path(".");
  return finish_model_directory(root, std::move(component), std::move(used));
}

Result<Checkpoint> open_single(const fs::path& path) {
  Checkpoint checkpoint{path, CheckpointKind::single_file, {}, {}, {}};
  Component component;
  PRECIS_TRY(open_lone_file(path, component));
  // A lone file has no config.json: precis keeps the config of its quantization in the metadata.
  const auto& metadata = component.files.front()->metadata();
  if (metadata.contains("quantization_config") && metadata["quantization_config"].is_string()) {
    const auto config = parse_json(metadata["quantization_config"].get_ref<const std::string&>());
    if (config.ok() && config->is_object()) component.config = {{"quantization_config", *config}};
  }
  component.family = detect_family(component);
  checkpoint.components.push_back(std::move(component));
  return checkpoint;
}

// "model.safetensors.index.json", "model.safetensors.index.fp16.json"
bool is_index(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find(".safetensors.index") != std::string::npos && name.ends_with(".json");
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
    return Error(ErrorCode::io,
                 fmt::format("{}: {}", path.string(),
                             error && status.type() != fs::file_type::not_found ? error.message()
                                                                                : "does not exist"),
                 "check the path, its spelling and its permissions");
  }
  if (!fs::is_directory(status)) return is_index(path) ? open_index(path) : open_single(path);
  if (fs::exists(path / "model_index.json", error)) return open_pipeline(path, options);
  return open_model_directory(path, options);
}

}  // namespace precis
