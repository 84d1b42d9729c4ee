// network_differences PIPELINE: runs every network of a pipeline of tests/models/make_pipelines.py
// on the inputs that its reference.safetensors recorded, and prints as JSON by how much the results
// differ from the Python library's: largest difference over largest value, by tensor name.
//
// network_differences --tokenize TOKENIZER TEXT: the ids of a text.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/checkpoint/checkpoint.h"
#include "core/engine/method_resolver.h"
#include "models/auraflow/auraflow_transformer.h"
#include "models/autoencoder_kl/decoder.h"
#include "models/clip/clip_text.h"
#include "models/flux/flux_transformer.h"
#include "models/json_file.h"
#include "models/layers/projections.h"
#include "models/llama/llama_decoder.h"
#include "models/load_weights.h"
#include "models/pixart/pixart_transformer.h"
#include "models/schedulers/ddim.h"
#include "models/schedulers/dpm_solver_multistep.h"
#include "models/schedulers/flow_match_euler.h"
#include "models/sd3/sd3_transformer.h"
#include "models/t5/t5_encoder.h"
#include "models/tokenizers/tokenizer.h"

namespace {

using namespace precis;
using namespace precis::models;

template <typename T>
T check(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().text() + "; " + result.error().hint());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// The pipelines here are not quantized.
class NoMethods : public MethodResolver {
 public:
  Result<std::shared_ptr<const Quantizer>> from_spec(const std::string&,
                                                     const std::string&) override {
    return std::shared_ptr<const Quantizer>();
  }
  Result<std::shared_ptr<const Quantizer>> from_component(const Component&) override {
    return std::shared_ptr<const Quantizer>();
  }
};

class Reference {
 public:
  explicit Reference(const std::filesystem::path& file) : file_(check(Container::open(file))) {}

  bool has(const std::string& name) const { return file_->find(name) != nullptr; }
  at::Tensor operator[](const std::string& name) const {
    const auto* entry = file_->find(name);
    if (entry == nullptr) throw std::runtime_error("no tensor " + name + " in the reference");
    const auto bytes = check(file_->data(*entry));
    const auto type = entry->dtype == DType::i64 ? at::kLong : at::kFloat;
    return at::from_blob(const_cast<std::byte*>(bytes.data()), entry->shape, type).clone();
  }
  std::string text(const char* key) const { return file_->metadata().at(key); }

 private:
  std::shared_ptr<const Container> file_;
};

class Differences {
 public:
  explicit Differences(const Reference& reference) : reference_(reference) {}
  void add(const std::string& name, const at::Tensor& got) {
    const auto want = reference_[name];
    if (got.sizes() != want.sizes()) {
      throw std::runtime_error(name + " has another shape than the reference");
    }
    const auto scale = want.abs().max().clamp_min(1e-6);
    const double difference = ((got.to(at::kFloat) - want).abs().max() / scale).item<double>();
    result[name] = std::max(difference, result.value(name, 0.0));
  }
  nlohmann::ordered_json result = nlohmann::ordered_json::object();

 private:
  const Reference& reference_;
};

void run_clip(const Component& component, ClipText& model, const Reference& in, Differences& out) {
  const auto& name = component.name;
  for (int call = 0; in.has(name + "." + std::to_string(call) + ".in.0"); ++call) {
    const auto path = name + "." + std::to_string(call);
    const auto output = model.forward(in[path + ".in.0"]);
    out.add(path + ".out.last_hidden_state", output.last_hidden_state);
    for (std::size_t i = 0; i < output.hidden_states.size(); ++i) {
      const auto state = path + ".out.hidden_states." + std::to_string(i);
      if (in.has(state)) out.add(state, output.hidden_states[i]);
    }
    for (const char* pooled : {".out.text_embeds", ".out.pooler_output"}) {
      if (in.has(path + pooled)) out.add(path + pooled, output.pooled);
    }
  }
}

void run_t5(const Component& component, T5Encoder& model, const Reference& in, Differences& out) {
  for (int call = 0;; ++call) {
    const auto path = component.name + "." + std::to_string(call);
    const auto ids = path + (in.has(path + ".in.0") ? ".in.0" : ".in.input_ids");
    if (!in.has(ids)) return;
    const auto mask = path + ".in.attention_mask";
    out.add(path + ".out.last_hidden_state",
            model.forward(in[ids], in.has(mask) ? in[mask] : at::Tensor()));
  }
}

// Fills the network of a component and hands it to `run`.
template <typename Network, typename Run, typename... Args>
void with(const Component& component, const Run& run, Args... args) {
  NoMethods methods;
  ComponentPlan plan;
  for (auto& tensor : check(logical_tensors(component, methods))) {
    plan.tensors.emplace_back().source = std::move(tensor);
  }
  Network network(component.config, args...);
  WeightOptions options;
  options.partial = component.name == "vae";
  check(load_weights(network, component, plan, methods, options));
  run(network);
  // Once more with fused projections: the worse of both counts.
  if (check(fuse_qkv_projections(network)) > 0) run(network);
}

void run_component(const Component& c, const Reference& in, Differences& out) {
  const auto& kind = c.class_name;
  if (kind == "CLIPTextModel" || kind == "CLIPTextModelWithProjection") {
    with<ClipText>(
        c, [&](ClipText& m) { run_clip(c, m, in, out); }, kind == "CLIPTextModelWithProjection");
  } else if (kind == "T5EncoderModel" || kind == "UMT5EncoderModel") {
    with<T5Encoder>(c, [&](T5Encoder& m) { run_t5(c, m, in, out); });
  } else if (kind == "SD3Transformer2DModel") {
    with<Sd3Transformer>(c, [&](Sd3Transformer& m) {
      const auto arg = [&](const char* name) {
        return in[std::string("transformer.0.in.") + name];
      };
      out.add("transformer.0.out.0", m.forward(arg("hidden_states"), arg("encoder_hidden_states"),
                                               arg("pooled_projections"), arg("timestep")));
    });
  } else if (kind == "PixArtTransformer2DModel") {
    with<PixArtTransformer>(c, [&](PixArtTransformer& m) {
      const auto arg = [&](const char* name) {
        return in[std::string("transformer.0.in.") + name];
      };
      out.add("transformer.0.out.0", m.forward(arg("0"), arg("encoder_hidden_states"),
                                               arg("encoder_attention_mask"), arg("timestep")));
    });
  } else if (kind == "AuraFlowTransformer2DModel") {
    with<AuraFlowTransformer>(c, [&](AuraFlowTransformer& m) {
      const auto arg = [&](const char* name) {
        return in[std::string("transformer.0.in.") + name];
      };
      out.add("transformer.0.out.0",
              m.forward(arg("0"), arg("encoder_hidden_states"), arg("timestep")));
    });
  } else if (kind == "FluxTransformer2DModel") {
    with<FluxTransformer>(c, [&](FluxTransformer& m) {
      const auto arg = [&](const char* name) {
        const auto key = std::string("transformer.0.in.") + name;
        return in.has(key) ? in[key] : at::Tensor();
      };
      out.add("transformer.0.out.0", m.forward({arg("hidden_states"), arg("encoder_hidden_states"),
                                                arg("pooled_projections"), arg("timestep"),
                                                arg("guidance"), arg("img_ids"), arg("txt_ids")}));
    });
  } else if (kind == "AutoencoderKL") {
    with<AutoencoderKlDecoder>(c, [&](AutoencoderKlDecoder& m) {
      out.add("vae.decode.out", m.forward(in["vae.decode.in"]));
    });
  }
}

void run_tokenizers(const std::filesystem::path& root, const Reference& in, Differences& out) {
  for (const char* name : {"tokenizer", "tokenizer_2", "tokenizer_3"}) {
    const auto key = std::string(name) + ".prompt_ids";
    if (!in.has(key)) continue;
    const auto ids = check(open_tokenizer(root / name))->encode(in.text("prompt"));
    out.add(key, at::tensor(ids));
  }
}

// Every step of a scheduler from the recorded outputs of the network.
template <typename Scheduler>
void run_steps(Scheduler& scheduler, const Reference& in, Differences& out) {
  auto sample = in["latents"];
  for (std::size_t i = 0; i < scheduler.timesteps().size(); ++i) {
    const auto step = "step." + std::to_string(i);
    sample = scheduler.step(in[step + ".model_output"], i, sample);
    out.add(step + ".prev_sample", sample);
  }
}

// The logits of token_ids, at once and token by token after the first half.
void run_llama(const std::filesystem::path& root, const Reference& in, Differences& out) {
  const auto checkpoint = check(open_checkpoint(root));
  with<LlamaDecoder>(checkpoint.components.front(), [&](LlamaDecoder& model) {
    const auto ids = in["token_ids"];
    out.add("logits", model.forward(ids));
    KeyValueCache cache;
    const int64_t half = ids.size(1) / 2;
    std::vector<at::Tensor> parts{model.forward(ids.narrow(1, 0, half), &cache)};
    parts.push_back(model.forward(ids.narrow(1, half, 2), &cache));
    for (int64_t i = half + 2; i < ids.size(1); ++i)
      parts.push_back(model.forward(ids.narrow(1, i, 1), &cache));
    out.add("logits", at::cat(parts, 1));
  });
}

// mu: of dynamic shifting.
void run_scheduler(const nlohmann::json& config, const std::optional<double>& mu,
                   const Reference& in, Differences& out) {
  const int64_t steps = in["scheduler.timesteps"].size(0);
  const auto add_schedule = [&](const auto& scheduler) {
    out.add("scheduler.timesteps", at::tensor(scheduler.timesteps()));
    out.add("scheduler.sigmas", at::tensor(scheduler.sigmas()));
  };
  if (config.at("_class_name") == "DDIMScheduler") {
    Ddim scheduler(config);
    scheduler.set_timesteps(steps);
    out.add("scheduler.timesteps", at::tensor(scheduler.timesteps()));
    run_steps(scheduler, in, out);
    return;
  }
  if (config.at("_class_name") == "DPMSolverMultistepScheduler") {
    DpmSolverMultistep scheduler(config);
    scheduler.set_timesteps(steps);
    add_schedule(scheduler);
    run_steps(scheduler, in, out);
    return;
  }
  FlowMatchEuler scheduler(config);
  scheduler.set_timesteps(steps, mu);
  add_schedule(scheduler);
  run_steps(scheduler, in, out);
}

// The steps of a scheduler alone.
void run_scheduler_alone(const std::filesystem::path& folder, const Reference& in,
                         Differences& out) {
  const auto config = check(read_json_file(folder / "scheduler_config.json"));
  const auto mu = nlohmann::json::parse(in.text("mu"));
  run_scheduler(config, mu.is_null() ? std::nullopt : std::optional(mu.get<double>()), in, out);
}

void run_pipelines_scheduler(const std::filesystem::path& root, const Reference& in,
                             Differences& out) {
  if (in.text("family").starts_with("flux")) return;  // its schedule and packing are the pipeline's
  run_scheduler(check(read_json_file(root / "scheduler" / "scheduler_config.json")), {}, in, out);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 3 && arguments[0] == "--tokenize") {
      const auto ids = check(open_tokenizer(arguments[1]))->encode(arguments[2]);
      std::cout << nlohmann::json(ids).dump() << "\n";
      return 0;
    }
    at::set_num_threads(1);
    const c10::InferenceMode inference;
    if (arguments.size() == 2 && (arguments[0] == "--scheduler" || arguments[0] == "--llama")) {
      const std::filesystem::path folder = arguments[1];
      const Reference reference(folder / "reference.safetensors");
      Differences differences(reference);
      if (arguments[0] == "--scheduler")
        run_scheduler_alone(folder, reference, differences);
      else
        run_llama(folder / "model", reference, differences);
      std::cout << differences.result.dump(2) << "\n";
      return 0;
    }
    if (arguments.size() != 1) {
      std::cerr << "usage: network_differences PIPELINE | --tokenize TOKENIZER TEXT | "
                   "--scheduler DIR | --llama DIR\n";
      return 1;
    }
    const std::filesystem::path root = arguments[0];
    const Reference reference(root / "reference.safetensors");
    Differences differences(reference);
    const auto checkpoint = check(open_checkpoint(root));
    for (const auto& component : checkpoint.components) {
      run_component(component, reference, differences);
    }
    run_tokenizers(root, reference, differences);
    run_pipelines_scheduler(root, reference, differences);
    std::cout << differences.result.dump(2) << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
