#include "pipelines/pipeline.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/byte_size.h"
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
  const auto name = checkpoint.model_index.value("_class_name", std::string());
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

// Sizes are refused here that no machine has the memory for: torch ends the process when it gets
// none. A pixel of the decoder's last layers takes two sets of 128 channels of 4 bytes.
Status check_request(const GenerateOptions& options) {
  constexpr int64_t kMost = 1 << 16;
  constexpr double kBytesOfAPixel = 1024;
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
  const double pixels = static_cast<double>(options.images) *
                        static_cast<double>(std::max<int64_t>(options.height, 8)) *
                        static_cast<double>(std::max<int64_t>(options.width, 8));
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (pixels * kBytesOfAPixel <= memory) return {};
  return Error(ErrorCode::out_of_memory,
               fmt::format("decoding {} images of {} x {} takes about {}, this machine has {}",
                           options.images, options.width, options.height,
                           format_bytes(static_cast<uint64_t>(pixels * kBytesOfAPixel)),
                           format_bytes(static_cast<uint64_t>(memory))),
               "ask for fewer or smaller images");
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

Result<std::unique_ptr<Pipeline>> Pipeline::from_pretrained(const std::filesystem::path& directory,
                                                            const LoadOptions& options,
                                                            MethodResolver& methods) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  PRECIS_ASSIGN(const Family* const family, family_of(checkpoint));
  PRECIS_TRY(check_ready(checkpoint, options));
  PRECIS_ASSIGN(const Plan plan, resolve_in_memory(checkpoint, options, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  return catch_load_errors(directory, [&]() -> Result<std::unique_ptr<Pipeline>> {
    auto pipeline = family->make(loader);
    loader.load();
    pipeline->components_ = std::move(loader.reports());
    pipeline->peak_weight_bytes_ = loader.peak_weight_bytes();
    pipeline->turns_ = loader.turns();
    return pipeline;
  });
}

Result<at::Tensor> Pipeline::generate(const GenerateOptions& options) {
  PRECIS_TRY(check_request(options));
  const c10::InferenceMode inference;
  const EndOfTurns end{*turns_};
  try {
    return run(options);
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::invalid_argument, failure.what());
  } catch (const c10::Error& failure) {
    return torch_error(failure);
  }
}

}  // namespace precis::pipelines
