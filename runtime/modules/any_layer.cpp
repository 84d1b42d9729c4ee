#include "runtime/modules/any_layer.h"

#include <ATen/ATen.h>

#include "runtime/modules/onloaded.h"
#include "runtime/modules/quantized_layer.h"
#include "runtime/modules/widened_products.h"
#include "runtime/modules/without_weights.h"
#include "runtime/offload/mapped_tensor.h"

namespace precis {
namespace {

void register_layer(torch::nn::Module& parent, const std::string& name,
                    const std::shared_ptr<torch::nn::Module>& layer) {
  if (WithoutWeights::active()) {
    for (torch::Tensor& parameter : layer->parameters()) {
      parameter.set_data(at::zeros({}, parameter.options()).expand(parameter.sizes()));
    }
  }
  parent.register_module(name, layer);
}

}  // namespace
AnyLayer::AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Linear layer)
    : parent_(&parent), name_(std::move(name)) {
  register_layer(parent, name_, layer.ptr());
}

AnyLayer::AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Conv2d layer)
    : parent_(&parent), name_(std::move(name)) {
  register_layer(parent, name_, layer.ptr());
}

AnyLayer::AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Embedding layer)
    : parent_(&parent), name_(std::move(name)) {
  register_layer(parent, name_, layer.ptr());
}

std::shared_ptr<torch::nn::Module> AnyLayer::module() const {
  TORCH_CHECK(parent_ != nullptr, "AnyLayer: called before it was given a layer");
  const auto children = parent_->named_children();
  const std::shared_ptr<torch::nn::Module>* child = children.find(name_);
  TORCH_CHECK(child != nullptr, "AnyLayer: ", parent_->name(), " has no child '", name_,
              "' any more; replace layers, do not unregister them");
  return *child;
}

torch::Tensor AnyLayer::operator()(const torch::Tensor& input) const {
  const std::shared_ptr<torch::nn::Module> child = module();
  const Onloaded onloaded(*child, Onload::by_layer);
  prefetch_streamed(*child);
  torch::Tensor output = call(*child, input);
  release_streamed(*child);
  return output;
}

torch::Tensor AnyLayer::call(torch::nn::Module& child, const torch::Tensor& input) const {
  if (auto* layer = child.as<QuantizedLayer>()) return layer->forward(input);
  if (auto* layer = child.as<torch::nn::LinearImpl>())
    return widening_linear(input, layer->weight, layer->bias);
  if (auto* layer = child.as<torch::nn::Conv2dImpl>()) {
    const bool zeros =
        std::holds_alternative<torch::enumtype::kZeros>(layer->options.padding_mode());
    return zeros ? widening_conv2d(input, layer->weight, layer->bias, layer->options)
                 : layer->forward(input);
  }
  if (auto* layer = child.as<torch::nn::EmbeddingImpl>()) return layer->forward(input);
  TORCH_CHECK(false, "AnyLayer: child '", name_, "' of ", parent_->name(), " is a ", child.name(),
              ", which is neither a Linear, Conv2d or Embedding nor a quantized one");
}

torch::Tensor AnyLayer::weight() const {
  const std::shared_ptr<torch::nn::Module> child = module();
  const Onloaded onloaded(*child, Onload::by_layer);
  if (auto* layer = child->as<QuantizedLayer>()) return layer->dequantized_weight();
  const torch::Tensor* weight = child->named_parameters(/*recurse=*/false).find("weight");
  TORCH_CHECK(weight != nullptr, "AnyLayer: child '", name_, "' of ", parent_->name(),
              " has no parameter 'weight'");
  // The child's own tensor goes back to where it waits, a view of the copy does not.
  return onloaded.brought() ? weight->detach() : *weight;
}

}  // namespace precis
