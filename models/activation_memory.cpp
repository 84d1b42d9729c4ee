#include "models/activation_memory.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "runtime/modules/widened_products.h"

namespace precis::models {
namespace {

using nlohmann::json;

double size(const json& config, const char* key, int64_t fallback) {
  return static_cast<double>(config_size(config, key, fallback));
}

// In doubles, which do not overflow.
struct Sizes {
  Sizes(const Workload& work, at::ScalarType dtype)
      : batch(static_cast<double>(work.batch)),
        tokens(static_cast<double>(work.tokens)),
        text(static_cast<double>(work.text_tokens)),
        pixels(static_cast<double>(work.pixels)),
        element(static_cast<double>(c10::elementSize(dtype))),
        widened(is_widened(dtype)) {}
  double batch, tokens, text, pixels, element;
  bool widened;  // convolutions take float32 copies
  bool half() const { return element < 4; }
};

// The factors below are tensors of one token that are alive together, as torch's allocator was seen
// to give them out: activation_memory_test holds them to it.

// The biases of all heads stay through all layers; the distances that they come from are int64.
double t5(const json& config, const Sizes& n) {
  const double width = size(config, "d_model", 512), inner = size(config, "d_ff", 2048);
  const double heads = size(config, "num_heads", 8), keys = heads * size(config, "d_kv", 64);
  const auto kind = config_value<std::string>(config, "feed_forward_proj", "relu");
  const double inners = kind.rfind("gated-", 0) == 0 ? 3 : 2;
  // wo is float32 where the rest is float16.
  const double element = n.half() ? n.element + 1 : n.element;
  const double rows =
      n.batch * n.tokens * element * std::max(4 * width + inners * inner, 3 * width + 5 * keys);
  const double pairs = n.tokens * n.tokens;
  return std::max(rows + 2 * heads * pairs * n.element, 60 * pairs);
}

// All hidden states are kept.
double clip(const json& config, const Sizes& n) {
  const double width = size(config, "hidden_size", 512);
  const double inner = size(config, "intermediate_size", 2048);
  const double layers = size(config, "num_hidden_layers", 12);
  return n.batch * n.tokens * ((layers + 10) * width + 2 * inner) * n.element;
}

// With the float32 likelihoods that are made of the logits.
double llama(const json& config, const Sizes& n) {
  const double width = size(config, "hidden_size", 4096);
  const double inner = size(config, "intermediate_size", 11008);
  const double vocabulary = size(config, "vocab_size", 32000);
  const double likelihoods = vocabulary * (n.half() ? 4 + 4 + n.element : 2 * n.element);
  const double layers = (9 * width + 3 * inner) * n.element;
  return n.batch * n.tokens * std::max(layers, likelihoods + width * n.element);
}

double heads_width(const json& config, int64_t heads, int64_t head_width) {
  return size(config, "num_attention_heads", heads) *
         size(config, "attention_head_dim", head_width);
}

double sd3(const json& config, const Sizes& n) {
  return n.batch * heads_width(config, 18, 64) * (16 * n.tokens + 9 * n.text) * n.element;
}

// Rotated in float32.
double flux(const json& config, const Sizes& n) {
  const double tensors = n.half() ? 22 : 17;
  return n.batch * heads_width(config, 24, 128) * tensors * (n.tokens + n.text) * n.element;
}

double auraflow(const json& config, const Sizes& n) {
  return n.batch * heads_width(config, 12, 256) * (19 * n.tokens + 22 * n.text) * n.element;
}

double pixart(const json& config, const Sizes& n) {
  return n.batch * heads_width(config, 16, 72) * (16 * n.tokens + 3 * n.text) * n.element;
}

// Every up block but the last doubles the sides.
double decoder(const json& config, const Sizes& n) {
  const auto channels = config_value<std::vector<int64_t>>(config, "block_out_channels", {64});
  const double tensors = n.widened ? 8.1 : 4.6;
  double most = 0, pixels = n.pixels;
  for (std::size_t i = channels.size(); i-- > 0; pixels *= 4) {
    const auto before = static_cast<double>(channels[std::min(i + 1, channels.size() - 1)]);
    const auto width = std::max(before, static_cast<double>(channels[i]));
    most = std::max(most, tensors * pixels * width * n.element);
  }
  return n.batch * most;
}

struct NetworkClass {
  std::string_view name;
  double (*bytes)(const json&, const Sizes&);
};

constexpr std::array kClasses = {
    NetworkClass{"AuraFlowTransformer2DModel", auraflow},
    NetworkClass{"AutoencoderKL", decoder},
    NetworkClass{"CLIPTextModel", clip},
    NetworkClass{"CLIPTextModelWithProjection", clip},
    NetworkClass{"FluxTransformer2DModel", flux},
    NetworkClass{"LlamaForCausalLM", llama},
    NetworkClass{"PixArtTransformer2DModel", pixart},
    NetworkClass{"SD3Transformer2DModel", sd3},
    NetworkClass{"T5EncoderModel", t5},
    NetworkClass{"UMT5EncoderModel", t5},
};

}  // namespace

std::optional<double> activation_bytes(const std::string& class_name, const json& config,
                                       const Workload& work, at::ScalarType dtype) {
  for (const NetworkClass& kind : kClasses) {
    if (kind.name != class_name) continue;
    const double widening = is_widened(dtype) ? static_cast<double>(kWideningBytes) : 0;
    return kind.bytes(config, Sizes(work, dtype)) + widening;
  }
  return std::nullopt;
}

}  // namespace precis::models
