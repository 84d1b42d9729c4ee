#include "pipelines/networks.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <type_traits>

#include "models/auraflow/auraflow_transformer.h"
#include "models/autoencoder_kl/decoder.h"
#include "models/bert/bert_encoder.h"
#include "models/clip/clip_text.h"
#include "models/flux/flux_transformer.h"
#include "models/llama/llama_decoder.h"
#include "models/pixart/pixart_transformer.h"
#include "models/sd3/sd3_transformer.h"
#include "models/t5/t5_encoder.h"
#include "pipelines/loader.h"

namespace precis::pipelines {
namespace {

struct NetworkClass {
  std::string_view name;
  std::shared_ptr<torch::nn::Module> (*make)(Loader&);
  CalibrationData calibration;
};

template <typename Network, bool partial = false>
std::shared_ptr<torch::nn::Module> make_network(Loader& loader) {
  return loader.network<Network>("", partial);
}

template <bool projection>
std::shared_ptr<torch::nn::Module> make_clip(Loader& loader) {
  return loader.network<models::ClipText>("", false, projection);
}

template <typename Network>
constexpr CalibrationData kData =
    std::is_base_of_v<models::TextNetwork, Network>        ? CalibrationData::texts
    : std::is_base_of_v<models::DenoisingNetwork, Network> ? CalibrationData::denoising
                                                           : CalibrationData::none;

template <typename Network, bool partial = false>
constexpr NetworkClass network_class(std::string_view name) {
  return {name, make_network<Network, partial>, kData<Network>};
}

template <bool projection>
constexpr NetworkClass clip_class(std::string_view name) {
  return {name, make_clip<projection>, kData<models::ClipText>};
}

constexpr std::array kClasses = {
    network_class<models::AuraFlowTransformer>("AuraFlowTransformer2DModel"),
    network_class<models::AutoencoderKlDecoder, true>("AutoencoderKL"),
    network_class<models::BertEncoder, true>("BertModel"),
    clip_class<false>("CLIPTextModel"),
    clip_class<true>("CLIPTextModelWithProjection"),
    network_class<models::FluxTransformer>("FluxTransformer2DModel"),
    network_class<models::LlamaDecoder>("LlamaForCausalLM"),
    network_class<models::PixArtTransformer>("PixArtTransformer2DModel"),
    network_class<models::Sd3Transformer>("SD3Transformer2DModel"),
    network_class<models::T5Encoder>("T5EncoderModel"),
    network_class<models::T5Encoder>("UMT5EncoderModel"),
};

Result<const NetworkClass*> class_of(const Checkpoint& checkpoint) {
  if (checkpoint.kind != CheckpointKind::model_directory) {
    return Error(ErrorCode::unsupported,
                 fmt::format("{} is not a model directory", checkpoint.root.string()),
                 "it has config.json and the weights of one network");
  }
  const std::string& name = checkpoint.components.front().class_name;
  std::vector<std::string_view> known;
  for (const NetworkClass& kind : kClasses) {
    if (kind.name == name) return &kind;
    known.push_back(kind.name);
  }
  return Error(ErrorCode::unsupported,
               fmt::format("{}: networks of class '{}' cannot be run",
                           (checkpoint.root / "config.json").string(), name),
               fmt::format("supported: {}", fmt::join(known, ", ")));
}

}  // namespace

CalibrationData calibration_data(const Component& component) {
  for (const NetworkClass& kind : kClasses) {
    if (kind.name == component.class_name) return kind.calibration;
  }
  return CalibrationData::none;
}

Result<LoadedNetwork> load_network(const std::filesystem::path& directory,
                                   const LoadOptions& options, MethodResolver& methods) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  PRECIS_ASSIGN(const NetworkClass* const kind, class_of(checkpoint));
  PRECIS_ASSIGN(const Plan plan, resolve_in_memory(checkpoint, options, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  return catch_load_errors(directory, [&]() -> Result<LoadedNetwork> {
    auto network = kind->make(loader);
    loader.place();
    loader.fill();
    return LoadedNetwork{std::move(network), loader.reports().front()};
  });
}

}  // namespace precis::pipelines
