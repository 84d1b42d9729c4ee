#include "runtime/modules/quantized_layer.h"

#include "runtime/threads/openmp_loops.h"

namespace precis {
namespace {

// Registers `tensor` under a name that may have dots: "weight.absmax" is the buffer "absmax" of the
// child "weight".
void register_part(torch::nn::Module& module, const std::string& name, const at::Tensor& tensor) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) {
    module.register_buffer(name, tensor);
    return;
  }
  const std::string child = name.substr(0, dot);
  const auto children = module.named_children();
  const auto* known = children.find(child);
  const auto owner = known != nullptr
                         ? *known
                         : module.register_module(child, std::make_shared<torch::nn::Module>());
  register_part(*owner, name.substr(dot + 1), tensor);
}

}  // namespace

QuantizedLayer::QuantizedLayer(QuantizedWeight weight) : weight_(std::move(weight)) {
  run_loops_on_openmp();
  for (std::size_t i = 0; i < weight_.specs.size(); ++i) {
    register_part(*this, weight_.specs[i].name, weight_.parts[i]);
  }
}

torch::Tensor QuantizedLayer::dequantized_weight() const {
  auto weight = weight_.decode_rows(0, weight_.param.rows());
  TORCH_CHECK(weight.ok(), weight.error().text());
  return *std::move(weight);
}

}  // namespace precis
