#include "models/load_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>

#include "models/t5/t5_encoder.h"
#include "runtime/loading/tensor_places.h"
#include "runtime/modules/module_tree.h"
#include "runtime/modules/replaceable_layer.h"

namespace precis::models {
namespace {

// Constants and copies that older versions of the libraries stored.
bool harmless(const std::string& name) {
  return name.ends_with("position_ids") || name == "encoder.embed_tokens.weight" ||
         name == "lm_head.weight";
}

Error unexpected(const std::vector<std::string>& names) {
  const std::size_t shown = std::min<std::size_t>(names.size(), 5);
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(shown);
  return Error(
      ErrorCode::data_loss,
      fmt::format("{} weights have no place in the network of config.json: {}{}", names.size(),
                  fmt::join(names.begin(), end, ", "),
                  names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : ""),
      "is this the right config.json for these weights?");
}

// _keep_in_fp32_modules of the classes in transformers.
std::set<std::string> kept_in_f32(const torch::nn::Module& network) {
  if (dynamic_cast<const T5Encoder*>(&network) != nullptr) return {"wo"};
  return {};
}

uint64_t plain_bytes(at::IntArrayRef shape, DType dtype) {
  return dtype_bytes(dtype, static_cast<uint64_t>(c10::multiply_integers(shape))).value_or(0);
}

}  // namespace

std::vector<std::string> stored_names(const std::string& name) {
  // transformers 5 saves a CLIPTextModel without the prefix that earlier versions wrote.
  constexpr std::string_view kClipPrefix = "text_model.";
  if (name.starts_with(kClipPrefix)) return {name, name.substr(kClipPrefix.size())};
  // The tied input embedding of T5.
  if (name == "shared.weight") return {name, std::string("encoder.embed_tokens.weight")};
  return {name};
}

PredictedBytes predict_bytes(torch::nn::Module& network, const ComponentPlan& plan, DType dtype) {
  std::vector<LogicalTensor> tensors;
  for (const TensorPlan& tensor : plan.tensors) tensors.push_back(tensor.source);
  const TensorPlaces places(network, tensors, stored_names);
  std::map<std::string, uint64_t> layers;  // those that stream, by path
  for (const ModuleSite& site : module_sites(network)) {
    if (!layer_kind(*site.module()).empty()) layers[site.path];
  }
  const auto in_f32 = kept_in_f32(network);
  PredictedBytes bytes;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorPlaces::Place* place = places.of(i);
    if (place == nullptr) continue;
    const TensorPlan& tensor = plan.tensors[i];
    const DType stored = tensor.source.param.dtype;
    const DType kept = is_floating(stored) ? kept_dtype(place->name, dtype, in_f32) : stored;
    const uint64_t plain = plain_bytes(place->target.sizes(), kept);
    bytes.floating += plain;
    uint64_t held = tensor.source.plain() ? plain : tensor.source.stored_bytes();
    const bool as_stored = !tensor.source.plain() || kept == stored;
    if (tensor.action == Action::quantize) {
      held = 0;
      for (const PartSpec& part : tensor.parts) held += part.nbytes;
      bytes.working_set = std::max(bytes.working_set, plain + tensor.workspace_bytes);
    }
    bytes.loaded += held;
    if (tensor.action == Action::quantize || !as_stored) bytes.made += held;
    const auto layer = layers.find(place->name.substr(0, place->name.rfind('.')));
    (layer == layers.end() ? bytes.outside_layers : layer->second) += held;
  }
  for (const auto& [path, held] : layers) bytes.streamed = std::max(bytes.streamed, held);
  bytes.streamed += bytes.outside_layers;
  return bytes;
}

Result<LoadReport> load_weights(torch::nn::Module& network, const Component& component,
                                const ComponentPlan& plan, MethodResolver& methods,
                                const WeightOptions& options) {
  LoadOptions load;
  load.dtype = options.dtype;
  load.plan = &plan;
  load.arithmetic = options.arithmetic;
  load.stored_names = stored_names;
  load.execution_device = options.device;
  if (options.place == WeightPlace::disk) load.device_map = "disk";
  if (options.place == WeightPlace::memory) load.device_map = "cpu";
  load.stream = options.stream;
  load.offload_directory = options.offload_directory;
  load.kept_in_f32 = kept_in_f32(network);
  PRECIS_ASSIGN(LoadReport report, load_model(network, component, methods, load));
  std::erase_if(report.unexpected, harmless);
  if (!report.unexpected.empty() && !options.partial) return unexpected(report.unexpected);
  return report;
}

}  // namespace precis::models
