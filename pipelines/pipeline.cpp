#include "pipelines/pipeline.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>

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

// The library's first line; the rest is a stack trace.
std::string first_line(const char* message) {
  const std::string_view text(message);
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::from_pretrained(const std::filesystem::path& directory,
                                                            const LoadOptions& options,
                                                            MethodResolver& methods) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  PRECIS_ASSIGN(const Family* const family, family_of(checkpoint));
  PRECIS_ASSIGN(const Plan plan, resolve(checkpoint, options.methods, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  try {
    auto pipeline = family->make(loader);
    pipeline->components_ = std::move(loader.reports());
    return pipeline;
  } catch (LoadError& failure) {
    return std::move(failure.error).with_context(directory.string());
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::unsupported, failure.what()).with_context(directory.string());
  } catch (const c10::Error& failure) {
    return Error(ErrorCode::internal, first_line(failure.what_without_backtrace()))
        .with_context(directory.string());
  }
}

Result<at::Tensor> Pipeline::generate(const GenerateOptions& options) {
  if (options.steps < 1) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} steps cannot make an image", options.steps), "use 1 or more");
  }
  const c10::InferenceMode inference;
  try {
    return run(options);
  } catch (const std::invalid_argument& failure) {
    return Error(ErrorCode::invalid_argument, failure.what());
  } catch (const c10::Error& failure) {
    return Error(ErrorCode::internal, first_line(failure.what_without_backtrace()));
  }
}

}  // namespace precis::pipelines
