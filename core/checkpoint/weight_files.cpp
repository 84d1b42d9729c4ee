#include "core/checkpoint/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/output_file.h"
#include "core/checkpoint/weight_index.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

// The stems under which diffusers and transformers save weights.
constexpr std::string_view kDiffusersStem = "diffusion_pytorch_model";
constexpr std::array<std::string_view, 3> kStems{kDiffusersStem, "model", "diffusion_model"};
constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kGguf = ".gguf";
constexpr uint64_t kMaxIndex = uint64_t{64} << 20;

// A file name of the Python libraries, taken apart:
// stem[.variant][-00001-of-00002].safetensors, stem[.variant].safetensors.index[.variant].json,
// stem.gguf
struct WeightName {
  fs::path path;
  std::string stem, variant;
  bool index = false, shard = false, gguf = false;

  bool known() const { return std::find(kStems.begin(), kStems.end(), stem) != kStems.end(); }
};

// Cuts "-00001-of-00002" off; false: not there.
bool cut_shard_number(std::string& stem) {
  const std::size_t of = stem.rfind("-of-");
  if (of == std::string::npos || of == 0) return false;
  const std::size_t number = stem.rfind('-', of - 1);
  if (number == std::string::npos) return false;
  const auto digits = [&](std::size_t begin, std::size_t end) {
    return begin < end && stem.find_first_not_of("0123456789", begin) >= end;
  };
  if (!digits(number + 1, of) || !digits(of + 4, stem.size())) return false;
  stem.resize(number);
  return true;
}

std::optional<WeightName> read_name(const fs::path& path) {
  const std::string name = path.filename().string();
  WeightName result{path, {}, {}, false, false, false};
  if (name.ends_with(kGguf)) {
    result.gguf = true;
    result.stem = name.substr(0, name.size() - kGguf.size());
    result.shard = cut_shard_number(result.stem);
    return result;
  }
  const std::size_t at = name.find(kSafetensors);
  if (at == std::string::npos) return std::nullopt;
  result.stem = name.substr(0, at);
  std::string tail = name.substr(at + kSafetensors.size());
  if (tail.starts_with(".index") && tail.ends_with(".json")) {
    result.index = true;
    tail = tail.substr(6, tail.size() - 11);
    if (!tail.empty()) result.variant = tail.substr(1);
  } else if (!tail.empty()) {
    return std::nullopt;
  }
  result.shard = cut_shard_number(result.stem);
  // Only names that the libraries give have a variant: in "sd3.5_large" the dot is part of the
  // name.
  const std::size_t dot = result.stem.find('.');
  if (dot != std::string::npos) {
    const std::string stem = result.stem.substr(0, dot);
    if (std::find(kStems.begin(), kStems.end(), stem) != kStems.end()) {
      result.variant = result.stem.substr(dot + 1);
      result.stem = stem;
    }
  }
  return result;
}

std::string names_of(const std::vector<WeightName>& candidates) {
  std::string names;
  for (const WeightName& c : candidates) {
    names += (names.empty() ? "" : ", ") + c.path.filename().string();
  }
  return names;
}

// Where both a single file and an index exist, diffusers reads the index and transformers the file.
bool prefers_index(const WeightName& name) {
  return name.stem == kDiffusersStem;
}

// The candidate to read: of the variant asked for, or the plain one, or the only variant there is.
Result<std::optional<WeightName>> choose(std::vector<WeightName> candidates,
                                         const VariantChoice& choice, const fs::path& directory) {
  if (candidates.empty()) return std::optional<WeightName>();
  const bool known =
      std::any_of(candidates.begin(), candidates.end(), [](auto& c) { return c.known(); });
  if (known) std::erase_if(candidates, [](const WeightName& c) { return !c.known(); });
  const std::string all = names_of(candidates);
  const bool plain =
      std::any_of(candidates.begin(), candidates.end(), [](auto& c) { return c.variant.empty(); });
  const bool there = std::any_of(candidates.begin(), candidates.end(),
                                 [&](const WeightName& c) { return c.variant == choice.name; });
  const std::string variant = there || !choice.or_plain || !plain ? choice.name : "";
  if (!variant.empty() || plain) {
    std::erase_if(candidates, [&](const WeightName& c) { return c.variant != variant; });
  }
  if (candidates.empty()) {
    return Error(ErrorCode::not_found,
                 fmt::format("{}: no weights of variant '{}'", directory.string(), variant),
                 fmt::format("there are: {}", all));
  }
  const auto rank = [](const WeightName& c) {
    return std::tuple(std::find(kStems.begin(), kStems.end(), c.stem), c.gguf,
                      c.index != prefers_index(c));
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const WeightName& a, const WeightName& b) { return rank(a) < rank(b); });
  const WeightName& first = candidates.front();
  for (const WeightName& other : candidates) {
    if (other.variant != first.variant) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("{}: has weights in several variants and none without: {}",
                               directory.string(), all),
                   "choose one with --variant");
    }
    if (other.stem != first.stem && !first.known()) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("{}: has several files of weights: {}", directory.string(), all),
                   "give the path of one of them");
    }
  }
  return std::optional(first);
}

// What a directory without readable candidates has instead.
Status explain_absence(const fs::path& directory, bool shards, bool pickled) {
  if (shards) {
    return Error(ErrorCode::data_loss,
                 fmt::format("{}: has shards of weights, but not their *.safetensors.index.json",
                             directory.string()),
                 "fetch the index too: it says which shards belong together");
  }
  if (pickled) {
    return Error(
        ErrorCode::unsupported,
        fmt::format("{}: has only pickled PyTorch weights", directory.string()),
        "convert them to safetensors first, in Python with "
        "save_pretrained(..., safe_serialization=True): pickles run code when they are read");
  }
  return {};
}

bool is_pickle(const fs::path& path) {
  const std::string name = path.filename().string();
  const bool torch_name = name.find("pytorch_model") != std::string::npos;
  return name.ends_with(".ckpt") || (torch_name && name.ends_with(".bin"));
}

// Adds the tensors of one file. Error data_loss: a name that is there already.
Status add_file(const fs::path& path, Component& component) {
  PRECIS_ASSIGN(auto container, Container::open(path));
  for (const auto& earlier : component.files) {
    const bool fewer = earlier->tensors().size() < container->tensors().size();
    const Container& smaller = fewer ? *earlier : *container;
    const Container& larger = fewer ? *container : *earlier;
    for (const TensorEntry& entry : smaller.tensors()) {
      if (larger.find(entry.name) == nullptr) continue;
      return Error(
          ErrorCode::data_loss,
          fmt::format("{}: tensor '{}' is in both {} and {}", path.parent_path().string(),
                      entry.name, earlier->path().filename().string(), path.filename().string()),
          "the shards are of different checkpoints: fetch them again");
    }
  }
  const std::size_t file = component.files.size();
  for (const TensorEntry& entry : container->tensors()) component.tensors.push_back({file, &entry});
  component.files.push_back(std::move(container));
  return {};
}

}  // namespace

bool is_weight_file(const fs::path& path) {
  const std::string name = path.filename().string();
  if (is_pickle(path) || name.ends_with("pytorch_model.bin.index.json")) return true;
  if (name.find(kSafetensors) != std::string::npos || name.ends_with(kGguf)) return true;
  constexpr std::array<std::string_view, 6> kOthers{".h5",   ".msgpack",   ".ot",
                                                    ".onnx", ".onnx_data", ".tflite"};
  return name.starts_with("openvino_model") ||
         std::any_of(kOthers.begin(), kOthers.end(),
                     [&](auto suffix) { return name.ends_with(suffix); });
}

Status open_lone_file(const fs::path& path, Component& component) {
  const std::optional<WeightName> name = read_name(path);
  if (name && name->shard && !name->gguf) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{}: is one shard of several", path.string()),
                 "give the directory, or the *.safetensors.index.json beside it");
  }
  PRECIS_TRY(add_file(path, component));
  const auto& metadata = component.files.back()->metadata();
  const auto split = metadata.find("split.count");
  if (component.files.back()->format() == ContainerFormat::gguf && split != metadata.end() &&
      (*split)["value"].is_number_unsigned() && (*split)["value"].get<uint64_t>() > 1) {
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: is one part of a split GGUF", path.string()),
                 "join the parts with `llama-gguf-split --merge` first");
  }
  component.weights_name = name ? name->stem : path.stem().string();
  component.variant = name ? name->variant : "";
  return {};
}

Status open_indexed_files(const fs::path& path, Component& component, std::vector<fs::path>& used) {
  PRECIS_ASSIGN(const std::string text, read_file(path, kMaxIndex));
  auto index = parse_weight_index(text);
  if (!index.ok()) return std::move(index).error().with_context(path.string());
  const auto fail = [&](std::string what) {
    return Error(ErrorCode::data_loss, fmt::format("{}: {}", path.string(), what),
                 "fetch or write the checkpoint again");
  };
  used.push_back(path);
  for (const auto& [name, tensors] : *index) {
    const fs::path file = path.parent_path() / name;
    std::error_code error;
    if (!fs::exists(file, error))
      return fail(fmt::format("names the file '{}', which is missing", name));
    PRECIS_TRY(add_file(file, component));
    used.push_back(file);
    for (const std::string& tensor : tensors) {
      if (component.files.back()->find(tensor) != nullptr) continue;
      return fail(fmt::format("says that tensor '{}' is in '{}', where it is not", tensor, name));
    }
  }
  if (const std::optional<WeightName> name = read_name(path)) {
    component.weights_name = name->stem;
    component.variant = name->variant;
  }
  return {};
}

Result<bool> open_weight_files(const fs::path& directory, const VariantChoice& variant,
                               Component& component, std::vector<fs::path>& used) {
  std::vector<WeightName> candidates;
  bool shards = false, pickled = false;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    pickled = pickled || is_pickle(entry->path());
    std::optional<WeightName> name = read_name(entry->path());
    if (!name) continue;
    shards = shards || (name->shard && !name->gguf);
    if (!name->shard || name->gguf) candidates.push_back(*std::move(name));
  }
  if (error) return system_error(directory, "list", error.value());
  PRECIS_ASSIGN(const auto chosen, choose(std::move(candidates), variant, directory));
  if (!chosen) {
    PRECIS_TRY(explain_absence(directory, shards, pickled));
    return false;
  }
  if (chosen->index) {
    PRECIS_TRY(open_indexed_files(chosen->path, component, used));
  } else {
    PRECIS_TRY(open_lone_file(chosen->path, component));
    used.push_back(chosen->path);
  }
  return true;
}

}  // namespace precis
