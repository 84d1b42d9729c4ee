#include "runtime/modules/onloaded.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "runtime/modules/quantized_layer.h"
#include "runtime/offload/mapped_tensor.h"

namespace precis {
namespace {

void forget_products(torch::nn::Module& module) {
  if (auto* layer = module.as<QuantizedLayer>()) layer->forget_products();
  for (const auto& child : module.children()) forget_products(*child);
}

}  // namespace

Onloaded::Onloaded(torch::nn::Module& module, Onload when) : module_(module) {
  if (!any_waiting()) return;
  try {
    for (const at::Tensor& tensor : module.parameters()) bring(tensor, when);
    for (const at::Tensor& tensor : module.buffers()) bring(tensor, when);
  } catch (...) {
    restore();
    throw;
  }
}

Onloaded::~Onloaded() {
  restore();
}

void Onloaded::bring(at::Tensor tensor, Onload when) {
  const WaitingWeight* const weight = waiting_weight(tensor);
  if (weight == nullptr || weight->onload != when) return;
  // The module's tensor becomes the copy, of its own kind: one of inference mode or none.
  const c10::InferenceMode inference(tensor.is_inference());
  const at::NoGradGuard no_grad;
  const at::Tensor waiting = tensor.detach();
  tensor.set_data(weight->stored.to(weight->device));
  moved_.emplace_back(tensor, waiting);
  if (weight->on_disk) release_weight(weight->stored);
}

void Onloaded::restore() {
  if (moved_.empty()) return;
  for (auto& [tensor, waiting] : moved_) {
    const c10::InferenceMode inference(tensor.is_inference());
    const at::NoGradGuard no_grad;
    tensor.set_data(waiting);
  }
  moved_.clear();
  forget_products(module_);
}

}  // namespace precis
