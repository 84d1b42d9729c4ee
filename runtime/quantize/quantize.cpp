#include "runtime/quantize/quantize.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/modules/linear.h>

#include <map>

#include "core/checkpoint/family.h"
#include "core/engine/rules.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// The tree as the rules look at a checkpoint.
struct ModelDescription {
  std::vector<TensorEntry> entries;
  Checkpoint checkpoint;

  const Component& component() const { return checkpoint.components.front(); }
};

std::unique_ptr<ModelDescription> describe(torch::nn::Module& root,
                                           const QuantizeOptions& options) {
  auto description = std::make_unique<ModelDescription>();
  for (const auto& parameter : root.named_parameters()) {
    TensorEntry entry;
    entry.name = parameter.key();
    entry.shape = parameter.value().sizes().vec();
    description->entries.push_back(std::move(entry));
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

  Result<LayerChoice> choose(const ModuleSite& site, const torch::Tensor& weight) {
    LayerChoice choice;
    choice.site = site;
    PRECIS_ASSIGN(const DType dtype, dtype_of(weight.scalar_type()));
    choice.param = {site.path + ".weight", "Linear", dtype, weight.sizes().vec()};
    choice.bytes_before = choice.bytes_after = weight.nbytes();
    const Choice rule = rules_.choose(component_, choice.param.name, is_floating(dtype));
    choice.reason = rule.reason;
    if (rule.spec.empty()) return choice;
    PRECIS_ASSIGN(auto quantizer, quantizer_for(rule.spec));
    if (quantizer == nullptr) return choice;
    PRECIS_ASSIGN(const Storage storage, quantizer->storage(choice.param));
    if (storage.keep) {
      choice.reason = storage.reason;
      if (rule.by_rule) rules_.withdraw(rule);
      return choice;
    }
    auto plan = quantizer->plan(choice.param);
    if (!plan.ok()) {
      return std::move(plan).error().with_context(fmt::format("tensor '{}'", choice.param.name));
    }
    PRECIS_TRY(check_replaceable(site));
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

}  // namespace

Result<std::vector<LayerChoice>> choose_layers(torch::nn::Module& root,
                                               const QuantizeOptions& options,
                                               MethodResolver& methods) {
  ResolveOptions rule_options;
  rule_options.type = options.config;
  rule_options.rules = options.rules;
  rule_options.skips = options.skips;
  rule_options.default_skips = options.default_skips;
  const auto model = describe(root, options);
  PRECIS_ASSIGN(RuleSet rules, RuleSet::compile(rule_options, model->checkpoint));
  Chooser chooser(model->component(), rules, methods);
  std::vector<LayerChoice> choices;
  for (const ModuleSite& site : module_sites(root)) {
    torch::Tensor weight;
    if (const auto* linear = site.module()->as<torch::nn::LinearImpl>()) weight = linear->weight;
    if (!weight.defined()) continue;
    PRECIS_ASSIGN(LayerChoice choice, chooser.choose(site, weight));
    choices.push_back(std::move(choice));
  }
  PRECIS_TRY(rules.check_all_matched());
  return choices;
}

Result<std::vector<LayerChoice>> quantize(torch::nn::Module& root, const QuantizeOptions& options,
                                          MethodResolver& methods) {
  PRECIS_ASSIGN(std::vector<LayerChoice> choices, choose_layers(root, options, methods));
  for (const LayerChoice& choice : choices) {
    if (choice.quantizer == nullptr) continue;
    const auto module = choice.site.module();
    const auto* linear = module->as<torch::nn::LinearImpl>();
    PRECIS_ASSIGN(QuantizedWeight weight,
                  QuantizedWeight::encode(choice.quantizer, choice.param, linear->weight));
    replace_module(choice.site, std::make_shared<QuantizedLinear>(std::move(weight), linear->bias));
  }
  return choices;
}

Result<std::size_t> dequantize(torch::nn::Module& root, std::optional<DType> dtype) {
  std::size_t count = 0;
  for (const ModuleSite& site : module_sites(root)) {
    const auto module = site.module();
    const auto* quantized = module->as<QuantizedLinear>();
    if (quantized == nullptr) continue;
    PRECIS_ASSIGN(const at::ScalarType type,
                  scalar_type_of(dtype.value_or(quantized->weight().param.dtype)));
    // Made small and given its weight afterwards: torch would fill it with random numbers first.
    const torch::Tensor bias = quantized->bias();
    torch::nn::Linear linear(torch::nn::LinearOptions(1, 1).bias(bias.defined()));
    const auto& shape = quantized->weight().param.shape;
    linear->options.in_features(shape[1]).out_features(shape[0]);
    linear->weight.set_data(quantized->dequantized_weight().to(type));
    if (bias.defined()) linear->bias.set_data(bias.to(type));
    replace_module(site, linear);
    ++count;
  }
  return count;
}

}  // namespace precis
