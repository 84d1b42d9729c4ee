#include "core/engine/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/abi/calibration.h"
#include "core/abi/grid.h"
#include "core/base/thread_pool.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/importance_matrix.h"
#include "core/engine/conversion.h"
#include "core/engine/method_resolver.h"
#include "core/engine/output_files.h"
#include "core/engine/plan_checks.h"
#include "core/engine/rules.h"

namespace precis {
namespace {

// Decides every tensor of one component.
class ComponentResolver {
 public:
  ComponentResolver(const Component& component, const ResolveOptions& options, RuleSet& rules,
                    MethodResolver& methods, Plan& plan)
      : component_(component), options_(options), rules_(rules), methods_(methods), plan_(plan) {}

  Result<ComponentPlan> run() {
    ComponentPlan result;
    result.name = component_.name;
    result.library = component_.library;
    result.family = component_.family;
    for (const auto& file : component_.files) result.source_bytes += file->file_size();
    auto tensors = logical_tensors(component_, methods_);
    if (!tensors.ok()) {
      if (!can_be_carried(tensors.error())) return std::move(tensors).error();
      carry_over(tensors.error(), result);
      return result;
    }
    stored_quantized_ = std::any_of(tensors->begin(), tensors->end(),
                                    [](const LogicalTensor& tensor) { return !tensor.plain(); });
    if (!stored_quantized_ && (options_.convert || options_.dequantize_to))
      PRECIS_TRY(check_described());
    for (LogicalTensor& tensor : *tensors) {
      const std::string name = tensor.param.name;
      auto tensor_plan = resolve_tensor(std::move(tensor));
      if (!tensor_plan.ok()) {
        Error error = std::move(tensor_plan).error();
        if (bad_spec_) return error;
        return std::move(error).with_context(fmt::format("tensor '{}'", name));
      }
      result.tensors.push_back(*std::move(tensor_plan));
    }
    return result;
  }

 private:
  // Words of packed integers stand in a component, and nothing says what they mean.
  Status check_described() const {
    if (component_.quantization_config() != nullptr) return {};
    for (const TensorRef& ref : component_.tensors) {
      const TensorEntry& entry = *ref.entry;
      const std::string_view leaf = std::string_view(entry.name).substr(entry.name.rfind('.') + 1);
      if (is_floating(entry.dtype) || (leaf != "qweight" && leaf != "weight_packed")) continue;
      return Error(ErrorCode::failed_precondition,
                   fmt::format("'{}' holds packed integers, and no quantization_config says of "
                               "which method, bits and group size",
                               entry.name),
                   "put the model's quantization_config into its config.json, such as "
                   R"({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true}, or its )"
                   "quantize_config.json beside it");
    }
    return {};
  }

  // Whether a component that no plugin at hand can read may stay as it is: one of a pipeline, of
  // which nothing is asked.
  bool can_be_carried(const Error& error) {
    if (error.code() != ErrorCode::plugin && error.code() != ErrorCode::abi_mismatch) return false;
    if (component_.name.empty() || options_.dequantize_to) return false;
    return std::all_of(component_.tensors.begin(), component_.tensors.end(),
                       [&](const TensorRef& ref) {
                         return rules_.choose(component_, ref.entry->name, true).spec.empty();
                       });
  }

  void carry_over(const Error& error, ComponentPlan& result) {
    result.carried = true;
    result.output_bytes = result.source_bytes;
    plan_.warnings.push_back(fmt::format("component {} is carried over byte for byte, unread: {}",
                                         component_.name, error.text()));
  }

  Result<TensorPlan> resolve_tensor(LogicalTensor tensor) {
    TensorPlan plan;
    Param& param = tensor.param;
    if (param.module_kind.empty()) {
      param.module_kind = module_kind(component_.family, param.name, param.shape);
    }
    const bool is_number = !tensor.plain() || is_floating(param.dtype);
    const bool matrices = (param.module_kind == "Linear" && param.shape.size() == 2) ||
                          (param.module_kind == "Experts" && param.shape.size() == 3);
    const bool quantizable = is_number && matrices;
    const bool converted = options_.convert && !tensor.plain();
    Choice choice = rules_.choose(component_, param.name, quantizable, converted);
    if (options_.convert && stored_quantized_ && !converted && !choice.by_rule &&
        !choice.spec.empty())
      choice = {"", "stored as numbers in a quantized checkpoint", false};
    plan.source = std::move(tensor);
    plan.reason = choice.reason;
    if (!choice.spec.empty()) {
      PRECIS_TRY(choose_method(plan, choice, quantizable));
    } else if (!plan.source.plain() && options_.dequantize_to) {
      PRECIS_TRY(choose_dequantize(plan));
    } else {
      keep(plan);
    }
    return plan;
  }

  static void keep(TensorPlan& plan) {
    plan.action = Action::keep;
    plan.outputs.clear();
    for (const LogicalTensor::Part& part : plan.source.parts) {
      const TensorEntry& entry = *part.entry;
      plan.outputs.push_back(
          {{entry.name, entry.dtype, entry.encoding, entry.shape, entry.nbytes}, 0, 0});
    }
  }

  Status choose_dequantize(TensorPlan& plan) const {
    const Param& param = plan.source.param;
    if (!param.shape_known) {
      return Error(ErrorCode::data_loss, "its stored form does not tell its shape",
                   "give the model's directory with its config.json");
    }
    plan.action = Action::dequantize;
    plan.reason = fmt::format("stored as {}", plan.source.quantizer->spec());
    const uint64_t bytes = dtype_bytes(*options_.dequantize_to, param.elements()).value_or(0);
    plan.outputs = {{{param.name, *options_.dequantize_to, "", param.shape, bytes}, 0, 0}};
    return {};
  }

  // quantizable: of the kind that methods replace. A rule that finds other tensors too, such as the
  // bias beside a weight, means the weight.
  Status choose_method(TensorPlan& plan, const Choice& choice, bool quantizable) {
    const auto made = quantizer_for(choice.spec);
    if (!made.ok()) return spec_error(made.error(), choice);
    const auto& quantizer = *made;
    if (quantizer == nullptr) {
      keep(plan);
      return {};
    }
    Param& param = plan.source.param;
    if (choice.by_rule && param.shape.size() < 2) {
      keep(plan);
      plan.reason = "not a weight that methods replace";
      rules_.withdraw(choice);
      return {};
    }
    if (!plan.source.plain()) PRECIS_TRY(choose_conversion(plan, *quantizer));
    if (options_.importance && quantizer->uses_importance())
      param.importance = options_.importance->find(param.name);
    param.calibrated = options_.calibrated && CalibrationGroup::available(*quantizer);
    PRECIS_ASSIGN(const Storage storage, quantizer->storage(param));
    if (storage.keep) {
      keep(plan);
      plan.reason = fmt::format("{} keeps it: {}", choice.spec, storage.reason);
      if (choice.by_rule) rules_.withdraw(choice);
      return {};
    }
    auto parts = quantizer->plan(param);
    if (!parts.ok() && param.on_grid) {
      param.on_grid = false;
      plan.grid.clear();
      parts = quantizer->plan(param);
    }
    if (!parts.ok()) {
      const bool misfit = parts.error().code() == ErrorCode::unsupported;
      if (misfit && plan.conversion == Conversion::exact)
        return not_exact(plan, choice.spec, parts.error().message());
      if (!misfit || (choice.by_rule && quantizable)) {
        return std::move(parts).error().with_context(choice.reason);
      }
      keep(plan);
      plan.reason = fmt::format("does not fit {}: {}", choice.spec, parts.error().message());
      if (choice.by_rule) {
        rules_.withdraw(choice);
        return {};
      }
      plan_.warnings.push_back(fmt::format("{} is kept: {}", param.name, plan.reason));
      return {};
    }
    plan.action = Action::quantize;
    plan.quantizer = quantizer;
    plan.parts = std::move(parts->parts);
    plan.workspace_bytes = std::max(plan.workspace_bytes, parts->workspace_bytes);
    add_outputs(plan);
    return {};
  }

  Status choose_conversion(TensorPlan& plan, const Quantizer& target) const {
    const Quantizer& stored = *plan.source.quantizer;
    if (!options_.convert && !options_.allow_requantize) {
      return Error(
          ErrorCode::failed_precondition,
          fmt::format("is already quantized ({}); quantizing it again loses accuracy twice",
                      stored.spec()),
          "start from the float checkpoint, keep it with --skip, or see whether `precis "
          "convert` can keep every value");
    }
    plan.conversion = options_.allow_requantize ? Conversion::if_exact : Conversion::exact;
    Param& param = plan.source.param;
    if (!param.shape_known) {
      return Error(ErrorCode::data_loss, "its stored form does not tell its shape",
                   "give the model's directory with its config.json");
    }
    if (!Grid::available(stored) || !Grid::available(target)) return {};
    auto grid = Grid::plan(stored, param);
    if (!grid.ok() && grid.error().code() != ErrorCode::unsupported) return grid.error();
    if (!grid.ok()) return {};
    plan.grid = std::move(grid->parts);
    plan.workspace_bytes = grid->workspace_bytes;
    param.on_grid = true;
    return {};
  }

  // Part names are relative to the module that owns the parameter.
  static void add_outputs(TensorPlan& plan) {
    const std::string& name = plan.source.param.name;
    const std::size_t dot = name.rfind('.');
    const std::string module = dot == std::string::npos ? "" : name.substr(0, dot + 1);
    plan.outputs.clear();
    for (const PartSpec& part : plan.parts) {
      plan.outputs.push_back(
          {{module + part.name, part.dtype, part.encoding, part.shape, part.nbytes}, 0, 0});
    }
  }

  // What is wrong with the option that names a method: not the first tensor's fault, and said with
  // the option, which has the spec already.
  Error spec_error(const Error& error, const Choice& choice) {
    bad_spec_ = true;
    Error bare(error.code(), error.message(), error.hint());
    for (auto context = error.context().rbegin(); context != error.context().rend(); ++context) {
      if (*context != choice.spec) bare.with_context(*context);
    }
    return std::move(bare).with_context(choice.reason);
  }

  Result<std::shared_ptr<const Quantizer>> quantizer_for(const std::string& spec) {
    const auto known = quantizers_.find(spec);
    if (known != quantizers_.end()) return known->second;
    PRECIS_ASSIGN(auto quantizer, options_.convert&& stored_quantized_
                                      ? methods_.for_conversion(spec, component_)
                                      : methods_.from_spec(spec, component_.library));
    if (quantizer != nullptr && quantizer->needs_calibration() && !options_.calibrated) {
      return Error(ErrorCode::failed_precondition,
                   fmt::format("{} needs calibration data to quantize", spec),
                   "give texts with --calibration, or choose a method that works from the weights "
                   "alone; see `precis backends`");
    }
    quantizers_.emplace(spec, quantizer);
    return quantizer;
  }

  const Component& component_;
  bool stored_quantized_ = false;  // the component has a quantized tensor
  bool bad_spec_ = false;          // the error is that of an option, not of a tensor
  const ResolveOptions& options_;
  RuleSet& rules_;
  MethodResolver& methods_;
  Plan& plan_;
  std::map<std::string, std::shared_ptr<const Quantizer>> quantizers_;
};

// Last name segments that some module was kept with by a default skip and another one quantized.
std::set<std::string> ambiguous_leaves(const ComponentPlan& plan) {
  std::set<std::string> quantized, ambiguous;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action == Action::quantize) quantized.insert(module_leaf(tensor.source.param.name));
  }
  for (const TensorPlan& tensor : plan.tensors) {
    const std::string leaf = module_leaf(tensor.source.param.name);
    if (tensor.reason.starts_with("default skip") && quantized.contains(leaf))
      ambiguous.insert(leaf);
  }
  return ambiguous;
}

// Resolves a component. The libraries' configs name kept modules in ways that cannot tell all
// modules apart; where that stops the family's default skips from being written down, those in
// question do not apply.
Result<ComponentPlan> resolve_component(const Component& component, const ResolveOptions& options,
                                        RuleSet& rules, MethodResolver& methods, Plan& plan) {
  PRECIS_ASSIGN(ComponentPlan first,
                ComponentResolver(component, options, rules, methods, plan).run());
  if (!options.default_skips) return first;
  const Status expressible = check_config(component, first);
  if (expressible.ok() || expressible.error().code() != ErrorCode::unsupported) return first;
  const std::set<std::string> leaves = ambiguous_leaves(first);
  rules.lift_default_skips(component.family, leaves);
  PRECIS_ASSIGN(ComponentPlan second,
                ComponentResolver(component, options, rules, methods, plan).run());
  rules.lift_default_skips(component.family, {});
  if (leaves.empty() || !check_config(component, second).ok()) return first;
  plan.warnings.push_back(fmt::format(
      "{}'{}' is quantized although the family's default skips would keep it: the library's "
      "config.json cannot tell it from the others of its name",
      component.name.empty() ? "" : fmt::format("component {}: ", component.name),
      fmt::join(leaves, "', '")));
  return second;
}

// Tells how the Python library loads what it cannot load like a float component.
void add_loading_remarks(const ComponentPlan& component, const MethodResolver& methods,
                         Plan& plan) {
  std::set<const Quantizer*> seen;
  for (const TensorPlan& tensor : component.tensors) {
    if (tensor.action != Action::quantize || !seen.insert(tensor.quantizer.get()).second) continue;
    const std::string remark = methods.loading_remark(*tensor.quantizer, component.library);
    if (remark.empty()) continue;
    plan.warnings.push_back(fmt::format("{}{}: {}",
                                        component.name.empty() ? "" : component.name + ": ",
                                        tensor.quantizer->spec(), remark));
  }
}

}  // namespace

Result<Plan> resolve(const Checkpoint& checkpoint, const ResolveOptions& options,
                     MethodResolver& methods) {
  Plan plan;
  plan.source = checkpoint.root;
  plan.kind = checkpoint.kind;
  plan.recipe = options.recipe;
  plan.threads = options.threads == 0 ? available_processors() : options.threads;
  plan.max_memory = options.max_memory;
  PRECIS_ASSIGN(RuleSet rules, RuleSet::compile(options, checkpoint));
  for (const Component& component : checkpoint.components) {
    auto component_plan = resolve_component(component, options, rules, methods, plan);
    if (!component_plan.ok()) {
      Error error = std::move(component_plan).error();
      if (!component.name.empty()) error.with_context(fmt::format("component {}", component.name));
      return error;
    }
    add_loading_remarks(*component_plan, methods, plan);
    plan.components.push_back(*std::move(component_plan));
  }
  PRECIS_TRY(rules.check_all_matched());
  if (options.in_memory) {
    for (ComponentPlan& component : plan.components) component.method = method_names(component);
    return plan;
  }
  PRECIS_TRY(check_plan(options, plan));
  PRECIS_TRY(plan_output_files(checkpoint, options, plan));
  return plan;
}

}  // namespace precis
