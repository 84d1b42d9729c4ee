// How a module holds a layer that quantize() may replace.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <string>

namespace precis {

// A child of a module, called as it now stands in the tree.
//
// A member of type torch::nn::Linear keeps the float layer alive after Module::replace_module and
// goes on calling it. An AnyLayer owns nothing: it is the parent and the child's name, and every
// call looks the child up, in about a microsecond. A network with layers to be quantized holds them
// so:
//
//   struct AttentionImpl : torch::nn::Module {
//     explicit AttentionImpl(int64_t width)
//         : to_q(*this, "to_q", torch::nn::Linear(width, width)) {}
//     torch::Tensor forward(const torch::Tensor& x) { return to_q(x); }
//     precis::AnyLayer to_q;
//   };
//
// The state-dict keys are those of the layer itself ("to_q.weight"). The parent outlives the
// AnyLayer and is not copied or moved; a parent that is cloned makes its AnyLayers anew in reset().
// Calls are as safe from several threads as those of the layer; replacing a child while another
// thread calls it is not.
class AnyLayer {
 public:
  // An AnyLayer without a child: false, and not callable.
  AnyLayer() = default;

  // Registers `layer` as the child `name` of `parent`.
  AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Linear layer);
  AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Conv2d layer);
  AnyLayer(torch::nn::Module& parent, std::string name, torch::nn::Embedding layer);

  explicit operator bool() const { return parent_ != nullptr; }

  // What the child computes for `input`, float or quantized. Throws c10::Error where the child is
  // gone or of a kind that takes no single tensor.
  torch::Tensor operator()(const torch::Tensor& input) const;

  // The child's weight as numbers; decoded when it is quantized, which costs the memory of the
  // float matrix. For weights that are used in another place too, such as tied embeddings.
  torch::Tensor weight() const;

  // The child as it now stands.
  std::shared_ptr<torch::nn::Module> module() const;

 private:
  torch::Tensor call(torch::nn::Module& child, const torch::Tensor& input) const;

  const torch::nn::Module* parent_ = nullptr;
  std::string name_;
};

}  // namespace precis
