#include "runtime/modules/replaceable_layer.h"

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "runtime/modules/quantized_conv2d.h"
#include "runtime/modules/quantized_embedding.h"

namespace precis {

std::string layer_kind(const torch::nn::Module& module) {
  if (module.as<torch::nn::LinearImpl>() != nullptr) return "Linear";
  if (const auto* conv = module.as<torch::nn::Conv2dImpl>()) {
    return std::holds_alternative<torch::enumtype::kZeros>(conv->options.padding_mode()) ? "Conv2d"
                                                                                         : "";
  }
  if (const auto* embedding = module.as<torch::nn::EmbeddingImpl>())
    return embedding->options.max_norm() ? "" : "Embedding";
  return "";
}

torch::Tensor layer_weight(const torch::nn::Module& module) {
  if (layer_kind(module).empty()) return {};
  return module.named_parameters(/*recurse=*/false)["weight"];
}

std::shared_ptr<QuantizedLayer> quantized_layer(const torch::nn::Module& module,
                                                QuantizedWeight weight, Arithmetic arithmetic) {
  if (const auto* linear = module.as<torch::nn::LinearImpl>())
    return std::make_shared<QuantizedLinear>(std::move(weight), linear->bias, arithmetic);
  if (const auto* conv = module.as<torch::nn::Conv2dImpl>())
    return std::make_shared<QuantizedConv2d>(std::move(weight), conv->options, conv->bias);
  return std::make_shared<QuantizedEmbedding>(std::move(weight));
}

}  // namespace precis
