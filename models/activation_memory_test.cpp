#include "models/activation_memory.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <functional>

#include "models/auraflow/auraflow_transformer.h"
#include "models/autoencoder_kl/decoder.h"
#include "models/clip/clip_text.h"
#include "models/flux/flux_transformer.h"
#include "models/llama/llama_decoder.h"
#include "models/pixart/pixart_transformer.h"
#include "models/sd3/sd3_transformer.h"
#include "models/t5/t5_encoder.h"
#include "runtime/modules/widened_products.h"

namespace precis::models {
namespace {

using nlohmann::json;

// What torch's allocator has given out to this thread and what it gave at most.
class AllocationCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, std::size_t, std::size_t, c10::Device) override {
    now_ += size;
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak() const { return peak_; }

 private:
  int64_t now_ = 0, peak_ = 0;
};

double measured(const std::function<void()>& run) {
  const auto counter = std::make_shared<AllocationCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  run();
  return static_cast<double>(counter->peak());
}

// Activations of many more bytes than the few of fixed size.
void expect_predicted(const std::string& class_name, const json& config, const Workload& work,
                      at::ScalarType dtype, const std::function<void()>& run) {
  const auto predicted = activation_bytes(class_name, config, work, dtype);
  ASSERT_TRUE(predicted.has_value()) << class_name;
  const double taken = measured(run);
  EXPECT_GE(*predicted, taken) << class_name << " in " << dtype;
  const double fixed = is_widened(dtype) ? static_cast<double>(kWideningBytes) : 0;
  EXPECT_LE(*predicted, 1.5 * taken + fixed) << class_name << " in " << dtype;
}

class ActivationMemory : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    previous_ = c10::get_default_dtype();
    c10::set_default_dtype(c10::scalarTypeToTypeMeta(GetParam()));
  }
  void TearDown() override { c10::set_default_dtype(previous_); }

  at::Tensor random(at::IntArrayRef shape) const { return at::zeros(shape, GetParam()); }

  c10::InferenceMode inference_;
  caffe2::TypeMeta previous_;
};

INSTANTIATE_TEST_SUITE_P(Dtypes, ActivationMemory,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

// As they are loaded: T5's "wo" stays float32 where the rest is float16.
void widen_output_weights(T5Encoder& network) {
  for (auto& parameter : network.named_parameters()) {
    if (parameter.key().find(".wo.") == std::string::npos) continue;
    parameter.value().set_data(parameter.value().to(at::kFloat));
  }
}

TEST_P(ActivationMemory, OfT5) {
  for (const char* feed_forward : {"gated-gelu", "relu"}) {
    json config{{"vocab_size", 100}, {"d_model", 256},  {"d_kv", 16},
                {"d_ff", 640},       {"num_layers", 2}, {"feed_forward_proj", feed_forward}};
    for (const auto& [heads, tokens] : {std::pair{4, 128}, {4, 1024}, {32, 128}, {32, 600}}) {
      config["num_heads"] = heads;
      T5Encoder network(config);
      if (GetParam() == at::kHalf) widen_output_weights(network);
      const at::Tensor ids = at::zeros({1, tokens}, at::kLong);
      const at::Tensor mask = at::ones({1, tokens}, at::kLong);
      expect_predicted("T5EncoderModel", config, {1, tokens}, GetParam(),
                       [&] { network.forward(ids, mask); });
    }
  }
}

TEST_P(ActivationMemory, OfClip) {
  const json config{{"vocab_size", 100},
                    {"hidden_size", 256},
                    {"num_hidden_layers", 6},
                    {"intermediate_size", 768},
                    {"num_attention_heads", 4}};
  ClipText network(config, true);
  const at::Tensor ids = at::zeros({1, 77}, at::kLong);
  expect_predicted("CLIPTextModelWithProjection", config, {1, 77}, GetParam(),
                   [&] { network.forward(ids); });
}

TEST_P(ActivationMemory, OfSd3) {
  for (const bool second : {false, true}) {
    json config{
        {"num_attention_heads", 4},  {"attention_head_dim", 64},      {"num_layers", 3},
        {"joint_attention_dim", 96}, {"caption_projection_dim", 256}, {"pooled_projection_dim", 64},
        {"sample_size", 64},         {"pos_embed_max_size", 96}};
    if (second) config.update({{"qk_norm", "rms_norm"}, {"dual_attention_layers", {0, 1}}});
    Sd3Transformer network(config);
    for (const int64_t side : {16, 64}) {
      const at::Tensor latents = random({2, 16, side, side}), text = random({2, 77, 96});
      const at::Tensor pooled = random({2, 64}), time = at::zeros({2});
      expect_predicted("SD3Transformer2DModel", config, {2, side * side / 4, 77}, GetParam(),
                       [&] { network.forward(latents, text, pooled, time); });
    }
  }
}

TEST_P(ActivationMemory, OfFlux) {
  const json config{{"num_attention_heads", 4},  {"attention_head_dim", 128},
                    {"num_layers", 2},           {"num_single_layers", 2},
                    {"joint_attention_dim", 96}, {"pooled_projection_dim", 64}};
  FluxTransformer network(config);
  for (const int64_t side : {8, 32}) {
    FluxTransformer::Input input;
    input.latents = random({2, side * side, 64});
    input.text = random({2, 128, 96});
    input.pooled = random({2, 64});
    input.timestep = at::zeros({2});
    input.image_positions = at::zeros({side * side, 3}, at::kLong);
    input.text_positions = at::zeros({128, 3}, at::kLong);
    expect_predicted("FluxTransformer2DModel", config, {2, side * side, 128}, GetParam(),
                     [&] { network.forward(input); });
  }
}

TEST_P(ActivationMemory, OfPixArt) {
  const json config{{"num_attention_heads", 4},   {"attention_head_dim", 64}, {"num_layers", 2},
                    {"cross_attention_dim", 256}, {"caption_channels", 96},   {"sample_size", 64},
                    {"out_channels", 8}};
  PixArtTransformer network(config);
  for (const int64_t side : {16, 64}) {
    const at::Tensor latents = random({2, 4, side, side}), text = random({2, 120, 96});
    const at::Tensor mask = at::ones({2, 120}, at::kLong), time = at::zeros({2}, at::kLong);
    expect_predicted("PixArtTransformer2DModel", config, {2, side * side / 4, 120}, GetParam(),
                     [&] { network.forward(latents, text, mask, time); });
  }
}

TEST_P(ActivationMemory, OfAuraFlow) {
  const json config{{"num_attention_heads", 4},     {"attention_head_dim", 64},
                    {"num_mmdit_layers", 2},        {"num_single_dit_layers", 2},
                    {"joint_attention_dim", 96},    {"sample_size", 64},
                    {"caption_projection_dim", 256}};
  AuraFlowTransformer network(config);
  for (const int64_t side : {16, 64}) {
    const at::Tensor latents = random({2, 4, side, side}), text = random({2, 128, 96});
    const at::Tensor time = random({2});
    expect_predicted("AuraFlowTransformer2DModel", config, {2, side * side / 4, 128}, GetParam(),
                     [&] { network.forward(latents, text, time); });
  }
}

TEST_P(ActivationMemory, OfTheImageDecoder) {
  const json config{{"block_out_channels", {32, 64, 128, 128}},
                    {"up_block_types", json::array({"UpDecoderBlock2D", "UpDecoderBlock2D",
                                                    "UpDecoderBlock2D", "UpDecoderBlock2D"})},
                    {"layers_per_block", 2},
                    {"latent_channels", 16}};
  AutoencoderKlDecoder network(config);
  for (const int64_t side : {16, 48}) {
    const at::Tensor latents = random({2, 16, side, side});
    expect_predicted("AutoencoderKL", config, {2, 0, 0, side * side}, GetParam(),
                     [&] { network.forward(latents); });
  }
}

TEST_P(ActivationMemory, OfLlama) {
  const json config{{"vocab_size", 4000},       {"hidden_size", 256},
                    {"intermediate_size", 700}, {"num_hidden_layers", 2},
                    {"num_attention_heads", 4}, {"num_key_value_heads", 2}};
  for (const int64_t vocab_size : {300, 8000}) {
    json sized = config;
    sized["vocab_size"] = vocab_size;
    LlamaDecoder network(sized);
    const at::Tensor ids = at::zeros({1, 512}, at::kLong);
    expect_predicted("LlamaForCausalLM", sized, {1, 512}, GetParam(),
                     [&] { network.forward(ids)[0].to(at::kFloat).log_softmax(1); });
  }
}

TEST(ActivationMemoryOf, AnUnknownClassIsNotGuessed) {
  EXPECT_FALSE(activation_bytes("UNet2DConditionModel", json::object(), {1, 1, 1, 1}, at::kFloat));
}

}  // namespace
}  // namespace precis::models
