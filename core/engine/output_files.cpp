#include "core/engine/output_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/output_file.h"
#include "core/engine/carried_files.h"
#include "core/engine/execute.h"
#include "core/engine/memory_usage.h"
#include "core/engine/method_resolver.h"
#include "core/engine/plan_checks.h"
#include "core/engine/provenance.h"
#include "core/engine/verify.h"
#include "core/engine/write_behind.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

std::string_view torch_name(DType dtype) {
  return dtype == DType::f16 ? "float16" : dtype == DType::bf16 ? "bfloat16" : "float32";
}

const Quantizer* method_of(const TensorPlan& tensor) {
  if (tensor.action == Action::quantize) return tensor.quantizer.get();
  if (tensor.action == Action::keep) return tensor.source.quantizer.get();
  return nullptr;
}

// The component as a method's config sees it, and the methods in it. The plan outlives the
// description.
struct DescribedComponent {
  ComponentDescription description;
  std::vector<const Quantizer*> quantizers;

  DescribedComponent(const Component& component, const ComponentPlan& plan) {
    description.name = component.name;
    description.library = component.library;
    description.class_name = component.class_name;
    if (!component.config.is_null()) description.config_json = component.config.dump();
    for (const TensorPlan& tensor : plan.tensors) {
      if (const Quantizer* method = method_of(tensor)) {
        description.quantized.push_back(&tensor.source.param);
        if (std::find(quantizers.begin(), quantizers.end(), method) == quantizers.end())
          quantizers.push_back(method);
      } else if (tensor.source.param.module_kind == "Linear" ||
                 tensor.source.param.module_kind == "Experts") {
        description.kept.push_back(&tensor.source.param);
      } else {
        description.others.push_back(&tensor.source.param);
      }
    }
  }
};

// Plans the files of one component.
class ComponentFiles {
 public:
  ComponentFiles(const Checkpoint& checkpoint, const Component& component,
                 const ResolveOptions& options, Plan& plan, ComponentPlan& out)
      : checkpoint_(checkpoint), component_(component), options_(options), plan_(plan), out_(out) {}

  Status run() {
    if (options_.dequantize_to) cast_numbers(*options_.dequantize_to);
    describe();
    PRECIS_TRY(choose_container());
    if (format_ == ContainerFormat::gguf) PRECIS_TRY(fit_kept_tensors());
    PRECIS_TRY(plan_config());
    PRECIS_TRY(plan_provenance());
    PRECIS_TRY(plan_files());
    return {};
  }

  // Adds the files beside the weights that the source's methods wrote and that are not carried over
  // with weights of other methods.
  Status add_stale_files(std::set<fs::path>& stale) const {
    for (const auto& [method, description] : methods_left_behind()) {
      PRECIS_ASSIGN(const std::string text, method->sidecar_files(description));
      const json sidecars = json::parse(text);
      for (const auto& sidecar : sidecars.items())
        stale.insert(component_.directory / sidecar.key());
    }
    return {};
  }

 private:
  // Methods of the source that a weight here has no more, with what they wrote.
  std::map<const Quantizer*, ComponentDescription> methods_left_behind() const {
    std::map<const Quantizer*, ComponentDescription> methods;
    for (const TensorPlan& tensor : out_.tensors) {
      const Quantizer* method = tensor.source.quantizer.get();
      if (method != nullptr && method_of(tensor) != method)
        methods[method].quantized.push_back(&tensor.source.param);
    }
    for (auto& [method, description] : methods) {
      for (const TensorPlan& tensor : out_.tensors) {
        if (tensor.source.quantizer.get() != method)
          description.others.push_back(&tensor.source.param);
      }
    }
    return methods;
  }

  void describe() {
    DescribedComponent described(component_, out_);
    description_ = std::move(described.description);
    quantizers_ = std::move(described.quantizers);
    out_.method = method_names(out_);
  }

  Status choose_container() {
    format_ = component_.files.front()->format();
    bool decoded_all = quantizers_.empty() && options_.dequantize_to.has_value();
    if (decoded_all) format_ = ContainerFormat::safetensors;
    for (const Quantizer* method : quantizers_) {
      const ContainerFormat wanted =
          method->container() == "gguf" ? ContainerFormat::gguf : ContainerFormat::safetensors;
      if (method != quantizers_.front() && wanted != format_) {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("{} and {} need different file formats",
                                 quantizers_.front()->spec(), method->spec()),
                     "use methods of one plugin within a component");
      }
      format_ = wanted;
    }
    if (options_.container && *options_.container != format_) {
      if (!quantizers_.empty()) {
        return Error(
            ErrorCode::invalid_argument,
            fmt::format("{} is stored as {}, not as {}", quantizers_.front()->spec(),
                        container_format_name(format_), container_format_name(*options_.container)),
            fmt::format("give the output a name that ends in .{}", container_format_name(format_)));
      }
      format_ = *options_.container;
    }
    return {};
  }

  // Every number gets the dtype that was asked for, as model.to(dtype) does in PyTorch.
  void cast_numbers(DType dtype) {
    for (TensorPlan& tensor : out_.tensors) {
      const DType stored = tensor.source.param.dtype;
      const bool number =
          is_floating(stored) || stored == DType::f8_e4m3fn || stored == DType::f8_e5m2;
      if (tensor.action != Action::keep || !tensor.source.plain() || !number || stored == dtype)
        continue;
      cast(tensor, dtype);
      tensor.reason = fmt::format("--dtype {}", dtype_name(dtype));
    }
  }

  static void cast(TensorPlan& tensor, DType dtype) {
    tensor.action = Action::cast;
    PlannedTensor& planned = tensor.outputs.front().planned;
    planned.dtype = dtype;
    planned.nbytes = dtype_bytes(dtype, tensor.source.param.elements()).value_or(0);
  }

  // GGUF readers expect some kept tensors in other dtypes than the source has; the method says
  // which. What a GGUF file holds already stays as it is.
  Status fit_kept_tensors() {
    if (component_.files.front()->format() == ContainerFormat::gguf) return {};
    for (TensorPlan& tensor : out_.tensors) {
      if (tensor.action != Action::keep || !tensor.source.plain() || quantizers_.empty()) continue;
      if (!is_floating(tensor.source.param.dtype)) continue;
      PRECIS_ASSIGN(const Storage storage, quantizers_.front()->storage(tensor.source.param));
      if (!storage.cast_to || *storage.cast_to == tensor.source.param.dtype) continue;
      cast(tensor, *storage.cast_to);
      tensor.reason += fmt::format("; readers of GGUF take it as {}", dtype_name(*storage.cast_to));
    }
    return {};
  }

  // quantization_config: every method of the component must write the same.
  Status plan_config() {
    std::string config;
    for (const Quantizer* method : quantizers_) {
      auto text = method->config(description_);
      if (!text.ok()) return std::move(text).error().with_context(method->spec());
      if (method != quantizers_.front() && *text != config) {
        return Error(
            ErrorCode::invalid_argument,
            fmt::format("{} and {} cannot stand in one config.json", quantizers_.front()->spec(),
                        method->spec()),
            "the Python libraries read one quantization_config for a component: choose one "
            "method for it");
      }
      config = *text;
    }
    json document = component_.config;
    if (document.is_object()) document.erase("quantization_config");
    if (document.is_object() && options_.dequantize_to) {
      // transformers loads a model in the dtype that its config names.
      for (const char* key : {"dtype", "torch_dtype"}) {
        if (document.contains(key) && document[key].is_string())
          document[key] = torch_name(*options_.dequantize_to);
      }
    }
    if (!config.empty()) {
      quantization_config_ = json::parse(config);
      if (document.is_null()) document = json::object();
      document["quantization_config"] = quantization_config_;
    }
    const bool lone_file = checkpoint_.kind == CheckpointKind::single_file || options_.container;
    if (!lone_file && document.is_object()) {
      plan_.text_files.push_back({component_.directory / "config.json", document.dump(2) + "\n"});
      config_digest_ = config_digest(document);
    }
    if (!lone_file && !quantizers_.empty()) {
      PRECIS_ASSIGN(const std::string text, quantizers_.front()->sidecar_files(description_));
      const json sidecars = json::parse(text);
      for (const auto& [name, content] : sidecars.items()) {
        plan_.text_files.push_back({component_.directory / name, content.dump(2) + "\n"});
      }
    }
    return {};
  }

  // What a method of the source wrote of tensors that are decoded here is not carried over.
  Status drop_metadata_of_decoded(ordered_json& metadata) const {
    for (const auto& [method, description] : methods_left_behind()) {
      PRECIS_ASSIGN(const std::string text, method->metadata(description));
      const json entries = json::parse(text);
      for (const auto& entry : entries.items()) metadata.erase(entry.key());
    }
    return {};
  }

  Result<ordered_json> file_metadata(std::size_t tensor_count) const {
    const bool gguf = format_ == ContainerFormat::gguf;
    ordered_json metadata = ordered_json::object();
    const Container& source = *component_.files.front();
    if (source.format() == format_) metadata = source.metadata();
    if (!gguf) PRECIS_TRY(drop_metadata_of_decoded(metadata));
    for (const Quantizer* method : quantizers_) {
      PRECIS_ASSIGN(const std::string text, method->metadata(description_));
      const ordered_json entries = ordered_json::parse(text);
      for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
        // What the model is stands in the source; a method cannot know it better.
        if (entry.key() == "general.architecture" && metadata.contains(entry.key())) continue;
        metadata[entry.key()] = entry.value();
      }
    }
    const auto put = [&](std::string_view key, const std::string& value) {
      metadata[std::string(key)] =
          gguf ? ordered_json{{"type", "string"}, {"value", value}} : ordered_json(value);
    };
    if (gguf) metadata.erase("general.alignment");
    if (!gguf && !metadata.contains("format")) put("format", "pt");
    metadata.erase("quantization_config");
    const bool lone_file = checkpoint_.kind == CheckpointKind::single_file || options_.container;
    if (!gguf && lone_file && !quantization_config_.is_null()) {
      put("quantization_config", quantization_config_.dump());
    }
    put(kProvenanceKey, provenance_);
    put(kDigestsKey, std::string(kDigestsPrefix) + std::string(tensor_count * 32, '0'));
    return metadata;
  }

  // Nothing in it differs between two runs of the same command.
  Status plan_provenance() {
    Provenance provenance;
    for (const auto& file : component_.files) {
      PRECIS_ASSIGN(SourceFile source, describe_source(*file));
      provenance.sources.push_back(std::move(source));
    }
    for (const Quantizer* method : quantizers_)
      provenance.plugins[method->plugin_id()] = method->plugin_version();
    provenance.method = out_.method;
    provenance.recipe = options_.recipe;
    provenance.config_sha256 = config_digest_;
    provenance_ = provenance.to_text();
    return {};
  }

  // Tensors in source order, shards of at most max_shard_bytes; the parts of a weight stay
  // together.
  Status plan_files() {
    std::vector<std::vector<std::size_t>> shards(1);
    uint64_t shard_bytes = 0;
    for (std::size_t i = 0; i < out_.tensors.size(); ++i) {
      const uint64_t bytes = out_.tensors[i].output_bytes();
      const bool full = shard_bytes > 0 && shard_bytes + bytes > options_.max_shard_bytes;
      if (full && format_ == ContainerFormat::safetensors && !options_.container) {
        shards.emplace_back();
        shard_bytes = 0;
      }
      shards.back().push_back(i);
      shard_bytes += bytes;
    }
    ordered_json weight_map = ordered_json::object();
    uint64_t total_size = 0;
    for (std::size_t shard = 0; shard < shards.size(); ++shard) {
      PRECIS_TRY(plan_file(shards[shard], file_name(shard, shards.size()), weight_map, total_size));
    }
    if (shards.size() > 1) {
      const ordered_json index{{"metadata", {{"total_size", total_size}}},
                               {"weight_map", weight_map}};
      plan_.text_files.push_back(
          {component_.directory / (component_.weights_name + ".safetensors.index.json"),
           index.dump(2) + "\n"});
    }
    return {};
  }

  fs::path file_name(std::size_t shard, std::size_t count) const {
    if (checkpoint_.kind == CheckpointKind::single_file || options_.container) return {};
    if (format_ == ContainerFormat::gguf)
      return component_.directory / (component_.weights_name + ".gguf");
    const std::string part = count == 1 ? "" : fmt::format("-{:05}-of-{:05}", shard + 1, count);
    return component_.directory / fmt::format("{}{}.safetensors", component_.weights_name, part);
  }

  Status plan_file(const std::vector<std::size_t>& tensors, const fs::path& path,
                   ordered_json& weight_map, uint64_t& total_size) {
    OutputFilePlan file;
    file.path = path;
    file.format = format_;
    std::vector<PlannedTensor> planned;
    const std::size_t index = out_.files.size();
    for (const std::size_t tensor : tensors) {
      for (std::size_t i = 0; i < out_.tensors[tensor].outputs.size(); ++i) {
        OutputTensor& output = out_.tensors[tensor].outputs[i];
        output.file = index;
        output.position = planned.size();
        planned.push_back(output.planned);
        file.tensors.emplace_back(tensor, i);
        weight_map[output.planned.name] = path.filename().string();
        total_size += output.planned.nbytes;
      }
    }
    PRECIS_ASSIGN(const ordered_json metadata, file_metadata(planned.size()));
    PRECIS_ASSIGN(file.layout, plan_container(format_, planned, metadata));
    const std::size_t marker = file.layout.header.find(std::string(kDigestsPrefix) +
                                                       std::string(planned.empty() ? 0 : 32, '0'));
    file.digests_offset = marker + kDigestsPrefix.size();
    out_.output_bytes += file.layout.file_size;
    out_.files.push_back(std::move(file));
    return {};
  }

  const Checkpoint& checkpoint_;
  const Component& component_;
  const ResolveOptions& options_;
  Plan& plan_;
  ComponentPlan& out_;
  ComponentDescription description_;
  std::vector<const Quantizer*> quantizers_;
  json quantization_config_;
  std::string config_digest_, provenance_;
  ContainerFormat format_ = ContainerFormat::safetensors;
};

}  // namespace

std::string method_names(const ComponentPlan& plan) {
  std::set<std::string> specs;
  for (const TensorPlan& tensor : plan.tensors) {
    if (const Quantizer* method = method_of(tensor)) specs.insert(method->spec());
  }
  return fmt::format("{}", fmt::join(specs, ", "));
}

Status check_config(const Component& component, const ComponentPlan& plan) {
  const DescribedComponent described(component, plan);
  for (const Quantizer* method : described.quantizers) {
    auto text = method->config(described.description);
    if (!text.ok()) return std::move(text).error().with_context(method->spec());
  }
  return {};
}

Status plan_output_files(const Checkpoint& checkpoint, const ResolveOptions& options, Plan& plan) {
  if (options.container && checkpoint.components.size() != 1) {
    return Error(ErrorCode::invalid_argument,
                 "a pipeline of several components does not fit into one file",
                 "write to a directory, or convert one component's directory");
  }
  std::vector<uint64_t> working_sets;
  uint64_t largest_write = 0, large_parts = 0;
  std::set<fs::path> stale;
  for (std::size_t i = 0; i < checkpoint.components.size(); ++i) {
    ComponentPlan& component = plan.components[i];
    Status status;
    if (!component.carried) {
      ComponentFiles files(checkpoint, checkpoint.components[i], options, plan, component);
      status = files.run();
      if (status.ok()) status = files.add_stale_files(stale);
    }
    if (!status.ok()) {
      if (component.name.empty()) return status;
      return std::move(status).error().with_context(fmt::format("component {}", component.name));
    }
    plan.source_bytes += component.source_bytes;
    plan.weight_bytes += component.output_bytes;
    for (TensorPlan& tensor : component.tensors) {
      tensor.working_set_bytes = working_set_bytes(tensor);
      working_sets.push_back(tensor.working_set_bytes);
      uint64_t large = 0;
      for (const OutputTensor& output : tensor.outputs) {
        largest_write = std::max(largest_write, output.planned.nbytes);
        if (output.planned.nbytes >= OutputFile::kPastCacheBytes) ++large;
      }
      large_parts = std::max(large_parts, large);
    }
  }
  plan.output_bytes = plan.weight_bytes;
  if (!options.container && checkpoint.kind != CheckpointKind::single_file) {
    PRECIS_TRY(add_carried_files(checkpoint, stale, plan));
  }
  for (std::size_t i = 0; i < checkpoint.components.size(); ++i) {
    if (plan.components[i].carried) PRECIS_TRY(add_carried_component(checkpoint, i, plan));
  }
  for (const TextFilePlan& text : plan.text_files) plan.output_bytes += text.contents.size();
  if (const Status fits = check_memory(plan); !fits.ok()) {
    plan.warnings.push_back(fmt::format("this plan cannot be carried out: {}; {}",
                                        fits.error().text(), fits.error().hint()));
  }
  plan.fingerprint = fingerprint_of(checkpoint, plan);
  plan.peak_memory_bytes = anonymous_memory_bytes() +
                           BufferArena::predict_peak(working_sets, plan.threads, plan.max_memory) +
                           uint64_t{plan.threads} * kThreadOverheadBytes +
                           WriteBehind::memory_bytes(largest_write, plan.threads * large_parts);
  return {};
}

}  // namespace precis
