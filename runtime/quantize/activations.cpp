#include "runtime/quantize/activations.h"

#include <fmt/format.h>

#include "runtime/modules/module_tree.h"
#include "runtime/modules/unfrozen_linear.h"

namespace precis {
namespace {

// The part called `name`; undefined when the method has none.
at::Tensor part(const QuantizedWeight& weight, std::string_view name) {
  for (std::size_t i = 0; i < weight.specs.size(); ++i) {
    if (weight.specs[i].name == name) return weight.parts[i];
  }
  return {};
}

}  // namespace

Result<std::size_t> quantize_activations(torch::nn::Module& root,
                                         const ActivationOptions& options) {
  if (options.dtype != DType::i8 && options.dtype != DType::f8_e4m3fn &&
      options.dtype != DType::f8_e5m2) {
    return Error(ErrorCode::unsupported,
                 fmt::format("activations cannot be rounded to {}", dtype_name(options.dtype)),
                 "use i8, f8_e4m3fn or f8_e5m2");
  }
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, ActivationRounding>> layers;
  for (const ModuleSite& site : module_sites(root)) {
    auto module = site.module();
    if (module->as<UnfrozenLinear>() != nullptr) {
      return Error(ErrorCode::failed_precondition,
                   fmt::format("layer '{}' is not frozen yet", site.path), "call freeze() first");
    }
    const auto* layer = module->as<QuantizedLinear>();
    if (layer == nullptr) continue;
    ActivationRounding rounding{options.dtype, part(layer->weight(), "input_scale"),
                                part(layer->weight(), "output_scale"), options.outputs};
    if (!rounding.input_scale.defined() || !rounding.output_scale.defined()) {
      return Error(ErrorCode::unsupported,
                   fmt::format("layer '{}' is stored as {}, which has no scales for activations",
                               site.path, layer->weight().quantizer->spec()),
                   "quantize it with quanto: qint8, qint4, qint2 or qfloat8");
    }
    layers.emplace_back(std::move(module), std::move(rounding));
  }
  for (auto& [module, rounding] : layers) {
    module->as<QuantizedLinear>()->round_activations(std::move(rounding));
  }
  return layers.size();
}

}  // namespace precis
