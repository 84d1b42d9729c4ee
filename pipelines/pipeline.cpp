#include "pipelines/pipeline.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "core/base/byte_size.h"
#include "core/engine/memory_usage.h"
#include "pipelines/auraflow/auraflow_pipeline.h"
#include "pipelines/flux/flux_pipeline.h"
#include "pipelines/loader.h"
#include "pipelines/pixart/pixart_pipeline.h"
#include "pipelines/sd3/sd3_pipeline.h"

namespace precis::pipelines {
namespace {

struct Family {
  std::string_view class_name;  // _class_name of model_index.json
  std::unique_ptr<Pipeline> (*make)(Loader&);
};

template <typename P>
std::unique_ptr<Pipeline> make(Loader& loader) {
  return std::make_unique<P>(loader);
}

constexpr std::array kFamilies = {
    Family{"AuraFlowPipeline", make<AuraFlowPipeline>},
    Family{"FluxPipeline", make<FluxPipeline>},
    Family{"PixArtAlphaPipeline", make<PixArtPipeline>},
    Family{"PixArtSigmaPipeline", make<PixArtPipeline>},
    Family{"StableDiffusion3Pipeline", make<Sd3Pipeline>},
};

Result<const Family*> family_of(const Checkpoint& checkpoint) {
  if (checkpoint.kind != CheckpointKind::pipeline) {
    return Error(ErrorCode::unsupported,
                 fmt::format("{} is not a pipeline directory", checkpoint.root.string()),
                 "a pipeline has a model_index.json");
  }
  const auto found = checkpoint.model_index.find("_class_name");
  const std::string name = found == checkpoint.model_index.end() ? ""
                           : found->is_string()                  ? found->get<std::string>()
                                                                 : found->dump();
  std::vector<std::string_view> known;
  for (const Family& family : kFamilies) {
    if (family.class_name == name) return &family;
    known.push_back(family.class_name);
  }
  return Error(ErrorCode::unsupported,
               fmt::format("{}: pipelines of class '{}' cannot be run",
                           (checkpoint.root / "model_index.json").string(), name),
               fmt::format("supported: {}", fmt::join(known, ", ")));
}

Status check_ranges(const GenerateOptions& options) {
  constexpr int64_t kMost = 1 << 16;
  if (options.steps < 1 || options.images < 1) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} steps for {} images make none", options.steps, options.images),
                 "use 1 or more of both");
  }
  for (const int64_t size :
       {options.images, options.height, options.width, options.max_sequence_length}) {
    if (size >= 0 && size <= kMost) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} is out of range for a number of images, pixels or tokens", size),
                 fmt::format("0 to {}", kMost));
  }
  if (options.guidance_scale && !std::isfinite(*options.guidance_scale)) {
    return Error(ErrorCode::invalid_argument, "the guidance scale is not a number",
                 "leave it out for the pipeline's own");
  }
  PRECIS_TRY(models::check_text(options.prompt, "the prompt"));
  return models::check_text(options.negative_prompt, "the negative prompt");
}

// Whichever way a run ends, no network keeps its turn.
struct EndOfTurns {
  Turns& turns;
  ~EndOfTurns() { turns.end(); }
};

Status check_ready(const Checkpoint& checkpoint, const LoadOptions& options) {
  for (const auto& [name, network] : options.components) {
    const bool known = std::any_of(checkpoint.components.begin(), checkpoint.components.end(),
                                   [&](const Component& c) { return c.name == name; });
    if (!known || network == nullptr) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("a ready network is given for '{}', which {}", name,
                               known ? "is null" : "is no component of the pipeline"));
    }
    for (const auto& [component, spec] : options.methods.components) {
      if (component != name) continue;
      return Error(
          ErrorCode::invalid_argument,
          fmt::format("component '{}' is given ready, and '{}' is asked for it", name, spec),
          "quantize it when it is loaded, or with quantize()");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::make(const std::filesystem::path& directory,
                                                 const LoadOptions& options,
                                                 MethodResolver& methods, bool load) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  PRECIS_ASSIGN(const Family* const family, family_of(checkpoint));
  PRECIS_TRY(check_ready(checkpoint, options));
  PRECIS_ASSIGN(const Plan plan, resolve_in_memory(checkpoint, options, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  return catch_load_errors(directory, [&]() -> Result<std::unique_ptr<Pipeline>> {
    auto pipeline = family->make(loader);
    loader.place();
    if (load) loader.fill();
    release_freed_memory();
    pipeline->components_ = std::move(loader.reports());
    for (const Component& component : checkpoint.components) {
      pipeline->configs_[component.name] = component.config;
    }
    pipeline->dtype_ = options.dtype;
    pipeline->peak_weight_bytes_ = loader.peak_weight_bytes();
    pipeline->made_weight_bytes_ = loader.made_weight_bytes();
    pipeline->turns_ = loader.turns();
    return pipeline;
  });
}

Result<std::unique_ptr<Pipeline>> Pipeline::from_pretrained(const std::filesystem::path& directory,
                                                            const LoadOptions& options,
                                                            MethodResolver& methods) {
  return make(directory, options, methods, /*load=*/true);
}

Status Pipeline::check(const std::filesystem::path& directory, const LoadOptions& options,
                       const GenerateOptions& generate, MethodResolver& methods) {
  PRECIS_TRY(check_ranges(generate));
  PRECIS_ASSIGN(const auto pipeline, make(directory, options, methods, /*load=*/false));
  return pipeline->check_memory(generate, pipeline->made_weight_bytes_);
}

Result<uint64_t> Pipeline::activation_bytes(const GenerateOptions& options) const {
  return largest_work(options, [](const ComponentReport&) { return true; });
}

Result<uint64_t> Pipeline::largest_work(
    const GenerateOptions& options,
    const std::function<bool(const ComponentReport& component)>& counts) const {
  try {
    double most = 0;
    for (const auto& [name, work] : work(options)) {
      for (const ComponentReport& component : components_) {
        if (component.name != name || !counts(component)) continue;
        const auto bytes =
            models::activation_bytes(component.class_name, configs_.at(name), work, dtype_);
        most = std::max(most, bytes.value_or(0));
      }
    }
    return static_cast<uint64_t>(std::min(most, 1e18));
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::invalid_argument, failure.what());
  }
}

// On the CPU torch has no other way to say that there is no memory left than to end the process.
Status Pipeline::check_memory(const GenerateOptions& options, uint64_t weights) const {
  PRECIS_ASSIGN(const uint64_t activations, largest_work(options, [](const auto& component) {
                  return component.device.is_cpu();
                }));
  const auto available = available_memory_bytes();
  if (!available || activations + weights <= *available) return {};
  return Error(
      ErrorCode::out_of_memory,
      fmt::format("this run takes about {} for activations{}, the system has {} to give",
                  format_bytes(activations),
                  weights > 0 ? fmt::format(" and {} for weights", format_bytes(weights)) : "",
                  format_bytes(*available)),
      "ask for fewer or smaller images, for --dtype bf16, or quantize more");
}

Result<at::Tensor> Pipeline::generate(const GenerateOptions& options) {
  PRECIS_TRY(check_ranges(options));
  PRECIS_TRY(check_memory(options, 0));
  const c10::InferenceMode inference;
  const EndOfTurns end{*turns_};
  try {
    return run(options).cpu();
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::invalid_argument, failure.what());
  } catch (const c10::Error& failure) {
    return torch_error(failure);
  }
}

}  // namespace precis::pipelines
