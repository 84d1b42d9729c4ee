#include "runtime/quantize/quantize.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>

#include "core/checkpoint/family.h"
#include "core/engine/rules.h"
#include "runtime/modules/replaceable_layer.h"
#include "runtime/modules/unfrozen_linear.h"
#include "runtime/tensor/device.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// The tree as the rules look at a checkpoint.
struct ModelDescription {
  std::vector<TensorEntry> entries;
  Checkpoint checkpoint;

  const Component& component() const { return checkpoint.components.front(); }
};

// A layer that may get a method.
struct Layer {
  ModuleSite site;
  Param param;
  uint64_t bytes = 0;      // of the weight as it is
  bool quantized = false;  // already
  at::Device device = at::kCPU;
};

Result<Layer> float_layer(const ModuleSite& site, const std::string& kind,
                          const torch::Tensor& weight) {
  PRECIS_ASSIGN(const DType dtype, dtype_of(weight.scalar_type()));
  Param param{site.path + ".weight", kind, dtype, weight.sizes().vec(), true, nullptr};
  return Layer{site, std::move(param), weight.nbytes(), false, weight.device()};
}

// The float layers, and the quantized ones where they are asked for.
Result<std::vector<Layer>> layers_of(torch::nn::Module& root, bool quantized) {
  std::vector<Layer> layers;
  for (const ModuleSite& site : module_sites(root)) {
    const auto module = site.module();
    if (const std::string kind = layer_kind(*module); !kind.empty()) {
      PRECIS_ASSIGN(Layer layer, float_layer(site, kind, layer_weight(*module)));
      layers.push_back(std::move(layer));
    } else if (const auto* layer = module->as<QuantizedLayer>(); layer != nullptr && quantized) {
      Param param = layer->weight().param;
      param.name = site.path + ".weight";
      layers.push_back(
          {site, std::move(param), layer->weight().bytes(), true, layer->weight().device()});
    }
  }
  return layers;
}

std::unique_ptr<ModelDescription> describe(const std::vector<Layer>& layers,
                                           torch::nn::Module& root,
                                           const QuantizeOptions& options) {
  auto description = std::make_unique<ModelDescription>();
  const auto add = [&](const std::string& name, at::IntArrayRef shape) {
    TensorEntry entry;
    entry.name = name;
    entry.shape = shape.vec();
    description->entries.push_back(std::move(entry));
  };
  for (const auto& item : root.named_parameters()) add(item.key(), item.value().sizes());
  for (const Layer& layer : layers) {
    if (layer.quantized) add(layer.param.name, layer.param.shape);
  }
  Component component;
  component.name = options.component;
  component.library = options.library;
  component.class_name = options.class_name;
  for (const TensorEntry& entry : description->entries) component.tensors.push_back({0, &entry});
  component.family = detect_family(component);
  description->checkpoint.kind = CheckpointKind::model_directory;
  description->checkpoint.components.push_back(std::move(component));
  return description;
}

class Chooser {
 public:
  Chooser(const Component& component, RuleSet& rules, MethodResolver& methods)
      : component_(component), rules_(rules), methods_(methods) {}

  Result<LayerChoice> choose(const Layer& layer) {
    const Param& param = layer.param;
    const bool linear = param.module_kind == "Linear";
    LayerChoice choice{layer.site, param, nullptr, {}, layer.bytes, layer.bytes};
    const Choice rule = rules_.choose(component_, param.name, linear && is_floating(param.dtype));
    choice.reason = rule.reason;
    if (rule.spec.empty()) return choice;
    PRECIS_ASSIGN(auto quantizer, quantizer_for(rule.spec));
    if (quantizer == nullptr) return choice;
    PRECIS_ASSIGN(const Storage storage, quantizer->storage(param));
    if (storage.keep && !rule.by_rule) {
      choice.reason = storage.reason;
      return choice;
    }
    auto plan = quantizer->plan(param);
    if (!plan.ok() && !linear && plan.error().code() == ErrorCode::unsupported) {
      choice.reason = plan.error().message();
      rules_.withdraw(rule);
      return choice;
    }
    if (!plan.ok()) {
      return std::move(plan).error().with_context(fmt::format("tensor '{}'", param.name));
    }
    if (!layer.device.is_cpu()) {
      PRECIS_ASSIGN(const Place where, place_of(layer.device));
      auto there = quantizer->plan(param, where.device);
      if (!there.ok()) return without_kernels(std::move(there).error(), *quantizer, param);
    }
    PRECIS_TRY(check_replaceable(layer.site));
    choice.bytes_after = 0;
    for (const PartSpec& part : plan->parts) choice.bytes_after += part.nbytes;
    choice.quantizer = std::move(quantizer);
    return choice;
  }

 private:
  Result<std::shared_ptr<const Quantizer>> quantizer_for(const std::string& spec) {
    const auto known = quantizers_.find(spec);
    if (known != quantizers_.end()) return known->second;
    PRECIS_ASSIGN(auto quantizer, methods_.from_spec(spec, component_.library));
    if (quantizer != nullptr && quantizer->needs_calibration()) {
      return Error(
          ErrorCode::failed_precondition,
          fmt::format("'{}' needs calibration data: it cannot quantize from weights alone", spec),
          "load a checkpoint that is already quantized with it, or take another method");
    }
    quantizers_.emplace(spec, quantizer);
    return quantizer;
  }

  const Component& component_;
  RuleSet& rules_;
  MethodResolver& methods_;
  std::map<std::string, std::shared_ptr<const Quantizer>> quantizers_;
};

Result<std::vector<LayerChoice>> choose(torch::nn::Module& root, const QuantizeOptions& options,
                                        MethodResolver& methods, bool requantize) {
  ResolveOptions rule_options;
  rule_options.type = options.config;
  rule_options.rules = options.rules;
  rule_options.skips = options.skips;
  rule_options.default_skips = options.default_skips;
  PRECIS_ASSIGN(const std::vector<Layer> layers, layers_of(root, requantize));
  const auto model = describe(layers, root, options);
  PRECIS_ASSIGN(RuleSet rules, RuleSet::compile(rule_options, model->checkpoint));
  Chooser chooser(model->component(), rules, methods);
  std::vector<LayerChoice> choices;
  for (const Layer& layer : layers) {
    PRECIS_ASSIGN(LayerChoice choice, chooser.choose(layer));
    choices.push_back(std::move(choice));
  }
  PRECIS_TRY(rules.check_all_matched());
  return choices;
}

Status replace(const LayerChoice& choice, const QuantizeOptions& options) {
  auto module = choice.site.module();
  if (const auto* layer = module->as<QuantizedLayer>()) {
    PRECIS_ASSIGN(const at::ScalarType dtype, scalar_type_of(choice.param.dtype));
    layer->restore(choice.site, dtype);
    module = choice.site.module();
  }
  const auto* linear = module->as<torch::nn::LinearImpl>();
  if (linear != nullptr && !options.freeze) {
    replace_module(choice.site,
                   std::make_shared<UnfrozenLinear>(choice.quantizer, choice.param, linear->weight,
                                                    linear->bias, options.arithmetic));
    return {};
  }
  PRECIS_ASSIGN(QuantizedWeight weight,
                QuantizedWeight::encode(choice.quantizer, choice.param, layer_weight(*module)));
  replace_module(choice.site, quantized_layer(*module, std::move(weight), options.arithmetic));
  return {};
}

Result<std::vector<LayerChoice>> quantize_layers(torch::nn::Module& root,
                                                 const QuantizeOptions& options,
                                                 MethodResolver& methods, bool requantize) {
  PRECIS_ASSIGN(std::vector<LayerChoice> choices, choose(root, options, methods, requantize));
  for (const LayerChoice& choice : choices) {
    if (choice.quantizer != nullptr) PRECIS_TRY(replace(choice, options));
  }
  return choices;
}

}  // namespace

Result<std::vector<LayerChoice>> choose_layers(torch::nn::Module& root,
                                               const QuantizeOptions& options,
                                               MethodResolver& methods) {
  return choose(root, options, methods, /*requantize=*/false);
}

Result<std::vector<LayerChoice>> quantize(torch::nn::Module& root, const QuantizeOptions& options,
                                          MethodResolver& methods) {
  return quantize_layers(root, options, methods, /*requantize=*/false);
}

Result<std::vector<LayerChoice>> requantize(torch::nn::Module& root, const QuantizeOptions& options,
                                            MethodResolver& methods) {
  return quantize_layers(root, options, methods, /*requantize=*/true);
}

Result<std::size_t> freeze(torch::nn::Module& root) {
  std::size_t count = 0;
  for (const ModuleSite& site : module_sites(root)) {
    const auto module = site.module();
    const auto* layer = module->as<UnfrozenLinear>();
    if (layer == nullptr) continue;
    auto frozen = layer->freeze();
    if (!frozen.ok()) {
      return std::move(frozen).error().with_context(fmt::format("layer '{}'", site.path));
    }
    replace_module(site, *std::move(frozen));
    ++count;
  }
  return count;
}

Result<std::size_t> dequantize(torch::nn::Module& root, std::optional<DType> dtype) {
  std::size_t count = 0;
  for (const ModuleSite& site : module_sites(root)) {
    const auto module = site.module();
    const auto* quantized = module->as<QuantizedLayer>();
    if (quantized == nullptr) continue;
    PRECIS_ASSIGN(const at::ScalarType type,
                  scalar_type_of(dtype.value_or(quantized->weight().param.dtype)));
    quantized->restore(site, type);
    ++count;
  }
  return count;
}

}  // namespace precis
