#include "pipelines/networks.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>

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
};

template <typename Network, bool partial = false>
std::shared_ptr<torch::nn::Module> make_network(Loader& loader) {
  return loader.network<Network>("", partial);
}

template <bool projection>
std::shared_ptr<torch::nn::Module> make_clip(Loader& loader) {
  return loader.network<models::ClipText>("", false, projection);
}

constexpr std::array kClasses = {
    NetworkClass{"AuraFlowTransformer2DModel", make_network<models::AuraFlowTransformer>},
    NetworkClass{"AutoencoderKL", make_network<models::AutoencoderKlDecoder, true>},
    NetworkClass{"BertModel", make_network<models::BertEncoder, true>},
    NetworkClass{"CLIPTextModel", make_clip<false>},
    NetworkClass{"CLIPTextModelWithProjection", make_clip<true>},
    NetworkClass{"FluxTransformer2DModel", make_network<models::FluxTransformer>},
    NetworkClass{"LlamaForCausalLM", make_network<models::LlamaDecoder>},
    NetworkClass{"PixArtTransformer2DModel", make_network<models::PixArtTransformer>},
    NetworkClass{"SD3Transformer2DModel", make_network<models::Sd3Transformer>},
    NetworkClass{"T5EncoderModel", make_network<models::T5Encoder>},
    NetworkClass{"UMT5EncoderModel", make_network<models::T5Encoder>},
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
