#include "core/checkpoint/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "core/base/output_file.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The stems under which diffusers and transformers save weights.
constexpr std::array<std::string_view, 3> kStems{"diffusion_pytorch_model", "model",
                                                 "diffusion_model"};
constexpr std::string_view kIndexSuffix = ".index.json";

// A file of weights or an index, taken apart: stem[.variant].safetensors[.index[.variant]].json
struct Candidate {
  fs::path path;
  std::string stem, variant;
  bool index = false;
  bool gguf = false;
};

std::optional<Candidate> classify(const fs::path& path) {
  std::string name = path.filename().string();
  Candidate candidate{path, {}, {}, false, false};
  const std::size_t safetensors = name.find(".safetensors");
  if (name.ends_with(".gguf")) {
    candidate.gguf = true;
    candidate.stem = name.substr(0, name.size() - 5);
    return candidate;
  }
  if (safetensors == std::string::npos) return std::nullopt;
  std::string tail = name.substr(safetensors + std::string_view(".safetensors").size());
  candidate.stem = name.substr(0, safetensors);
  if (tail.starts_with(".index") && tail.ends_with(".json")) {
    candidate.index = true;
    tail = tail.substr(6, tail.size() - 11);
    if (!tail.empty()) candidate.variant = tail.substr(1);
  } else if (!tail.empty()) {
    return std::nullopt;
  }
  if (candidate.stem.find("-of-") != std::string::npos) return std::nullopt;  // a shard
  const std::size_t dot = candidate.stem.find('.');
  if (dot != std::string::npos) {
    candidate.variant = candidate.stem.substr(dot + 1);
    candidate.stem.resize(dot);
  }
  return candidate;
}

// The candidate to read: of the variant asked for; plain before variants; known stems first.
Result<std::optional<Candidate>> choose(std::vector<Candidate> candidates, const std::string& variant,
                                        const fs::path& directory) {
  if (candidates.empty()) return std::optional<Candidate>();
  if (!variant.empty()) {
    std::erase_if(candidates, [&](const Candidate& c) { return c.variant != variant; });
    if (candidates.empty()) {
      return Error(ErrorCode::not_found,
                   fmt::format("{}: no weights of variant '{}'", directory.string(), variant));
    }
  }
  const auto rank = [](const Candidate& c) {
    const auto stem = std::find(kStems.begin(), kStems.end(), c.stem);
    return std::tuple(!c.variant.empty(), stem - kStems.begin(), c.gguf, !c.index, c.path);
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
  const Candidate& first = candidates.front();
  if (first.variant.empty() || !variant.empty()) return std::optional(first);
  for (const Candidate& other : candidates) {
    if (other.variant != first.variant) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("{}: has the variants '{}' and '{}' and no plain weights",
                               directory.string(), first.variant, other.variant),
                   "choose one with --variant");
    }
  }
  return std::optional(first);
}

bool escapes(const std::string& name) {
  const fs::path path(name);
  if (path.is_absolute() || name.empty()) return true;
  return std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

Result<json> read_json_file(const fs::path& path) {
  PRECIS_ASSIGN(const std::string text, read_file(path, uint64_t{64} << 20));
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    return Error(ErrorCode::data_loss, fmt::format("{}: is not JSON: {}", path.string(), error.what()));
  }
}

Status add_weight_file(const fs::path& path, Component& component) {
  PRECIS_ASSIGN(auto container, Container::open(path));
  const std::size_t file = component.files.size();
  for (const auto& earlier : component.files) {
    const Container& smaller = earlier->tensors().size() < container->tensors().size() ? *earlier : *container;
    const Container& larger = &smaller == container.get() ? *earlier : *container;
    for (const TensorEntry& entry : smaller.tensors()) {
      if (larger.find(entry.name) == nullptr) continue;
      return Error(ErrorCode::data_loss,
                   fmt::format("tensor '{}' is in both {} and {}", entry.name,
                               earlier->path().filename().string(), path.filename().string()));
    }
  }
  for (const TensorEntry& entry : container->tensors()) component.tensors.push_back({file, &entry});
  component.files.push_back(std::move(container));
  return {};
}

Status open_indexed_files(const fs::path& index, Component& component, std::vector<fs::path>& used) {
  PRECIS_ASSIGN(const json document, read_json_file(index));
  const auto fail = [&](std::string text) {
    return Error(ErrorCode::data_loss, fmt::format("{}: {}", index.string(), text),
                 "fetch or write the checkpoint again");
  };
  if (!document.is_object() || !document.contains("weight_map") || !document["weight_map"].is_object()) {
    return fail("has no weight_map");
  }
  std::map<std::string, std::vector<std::string>> tensors_by_file;
  for (const auto& [tensor, file] : document["weight_map"].items()) {
    if (!file.is_string()) return fail(fmt::format("weight_map['{}'] is not a file name", tensor));
    const std::string name = file.get<std::string>();
    if (escapes(name)) return fail(fmt::format("names the file '{}' outside of its directory", name));
    tensors_by_file[name].push_back(tensor);
  }
  used.push_back(index);
  for (const auto& [name, tensors] : tensors_by_file) {
    const fs::path path = index.parent_path() / name;
    std::error_code error;
    if (!fs::exists(path, error)) return fail(fmt::format("names the file '{}', which is missing", name));
    PRECIS_TRY(add_weight_file(path, component));
    used.push_back(path);
    for (const std::string& tensor : tensors) {
      if (component.files.back()->find(tensor) != nullptr) continue;
      return fail(fmt::format("says that '{}' is in '{}', where it is not", tensor, name));
    }
  }
  return {};
}

Result<bool> open_weight_files(const fs::path& directory, const std::string& variant,
                               Component& component, std::vector<fs::path>& used) {
  std::vector<Candidate> candidates;
  bool pickled = false;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (auto candidate = classify(entry.path())) candidates.push_back(*std::move(candidate));
    const std::string name = entry.path().filename().string();
    pickled = pickled || (name.ends_with(".bin") && name.find("_model") != std::string::npos);
  }
  if (error) return system_error(directory, "list", error.value());
  PRECIS_ASSIGN(const auto chosen, choose(std::move(candidates), variant, directory));
  if (!chosen) {
    if (!pickled) return false;
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: has only pickled .bin weights", directory.string()),
                 "save the model with safe_serialization=True first: pickles run code when read");
  }
  component.weights_name = chosen->stem;
  component.variant = chosen->variant;
  if (chosen->index) {
    PRECIS_TRY(open_indexed_files(chosen->path, component, used));
  } else {
    PRECIS_TRY(add_weight_file(chosen->path, component));
    used.push_back(chosen->path);
  }
  return true;
}

}  // namespace precis
