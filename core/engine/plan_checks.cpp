#include "core/engine/plan_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/base/byte_size.h"
#include "core/checkpoint/importance_matrix.h"

namespace precis {
namespace {

std::size_t quantized_count(const ComponentPlan& component) {
  return static_cast<std::size_t>(
      std::count_if(component.tensors.begin(), component.tensors.end(),
                    [](const TensorPlan& tensor) { return tensor.action == Action::quantize; }));
}

bool names_a_method(const std::string& spec) {
  return !spec.empty() && spec != "keep";
}

bool asks_for_methods(const ResolveOptions& options) {
  const auto names_one = [](const auto& wish) { return names_a_method(wish.second); };
  return names_a_method(options.type) ||
         std::any_of(options.components.begin(), options.components.end(), names_one) ||
         std::any_of(options.rules.begin(), options.rules.end(), names_one);
}

// Why the weights that methods replace are kept: "12 weights, such as 'x.weight' (default skip:
// norm)", for the reason that most of them have. Empty: there are no such weights.
std::string reason_of_most(const ComponentPlan& component) {
  std::map<std::string, std::vector<const TensorPlan*>> by_reason;
  const std::vector<const TensorPlan*>* most = nullptr;
  for (const TensorPlan& tensor : component.tensors) {
    if (tensor.action == Action::quantize || tensor.source.param.module_kind != "Linear" ||
        tensor.source.param.shape.size() != 2)
      continue;
    auto& list = by_reason[tensor.reason];
    list.push_back(&tensor);
    if (most == nullptr || list.size() > most->size()) most = &list;
  }
  if (most == nullptr) return {};
  const TensorPlan& first = *most->front();
  return fmt::format("{} of its weights, such as '{}' ({})", most->size(), first.source.param.name,
                     first.reason);
}

// What to do about what reason_of_most() says.
const char* remedy(std::string_view reason) {
  return reason.find("(default skip") != std::string_view::npos
             ? "--no-default-skips, or a --rule for them, quantizes them"
             : "`precis plan PATH -v` says why each tensor is kept";
}

Status check_something_is_quantized(const ResolveOptions& options, const Plan& plan) {
  if (!asks_for_methods(options)) return {};
  std::string reason;
  for (const ComponentPlan& component : plan.components) {
    if (quantized_count(component) > 0) return {};
    // Of a component that was named, else of any.
    const bool named =
        std::any_of(options.components.begin(), options.components.end(), [&](const auto& wish) {
          return wish.first == component.name && names_a_method(wish.second);
        });
    if (reason.empty() || named) {
      const std::string why = reason_of_most(component);
      if (!why.empty())
        reason =
            fmt::format(": {}{}keeps {}", component.name, component.name.empty() ? "" : " ", why);
    }
  }
  if (reason.starts_with(": keeps")) reason = ": the model " + reason.substr(2);
  return Error(ErrorCode::invalid_argument, "nothing would be quantized" + reason, remedy(reason));
}

void warn_of_components_left_whole(const ResolveOptions& options, Plan& plan) {
  for (const ComponentPlan& component : plan.components) {
    std::string spec;
    for (const auto& [name, wish] : options.components) {
      if (name == component.name) spec = wish;
    }
    if (!names_a_method(spec) || quantized_count(component) > 0) continue;
    const std::string why = reason_of_most(component);
    plan.warnings.push_back(fmt::format(
        "component {}: --component {}={} quantizes nothing of it: {}; {}", component.name,
        component.name, spec,
        why.empty() ? "it has no weights that methods replace" : "it keeps " + why, remedy(why)));
  }
}

Status check_importance(const ResolveOptions& options, Plan& plan) {
  if (options.importance == nullptr) return {};
  std::size_t takers = 0, without = 0, without_data = 0;
  std::string example, method;
  for (const ComponentPlan& component : plan.components) {
    for (const TensorPlan& tensor : component.tensors) {
      if (tensor.action != Action::quantize) continue;
      if (method.empty()) method = tensor.quantizer->spec();
      if (!tensor.quantizer->uses_importance()) continue;
      ++takers;
      const Param& param = tensor.source.param;
      if (param.importance == nullptr) {
        ++without;
        if (example.empty()) example = param.name;
      } else if (options.importance->without_data(param.name)) {
        ++without_data;
        plan.warnings.push_back(fmt::format(
            "the importance matrix has zero counts for '{}': no data reached that weight when it "
            "was collected",
            param.name));
      }
    }
  }
  if (takers == 0) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("an importance matrix is given, but {} uses none",
                             method.empty() ? "no method" : method),
                 "leave --imatrix out, or choose one of GGUF's types, such as q4_k");
  }
  if (without == takers) {
    return Error(
        ErrorCode::invalid_argument,
        fmt::format("the importance matrix names no weight that is quantized here: it has '{}', "
                    "the checkpoint has '{}'",
                    options.importance->first_name(), example),
        "collect it from this model, with the names that this checkpoint gives its weights");
  }
  if (without > 0) {
    plan.warnings.push_back(fmt::format(
        "{} of {} weights have no entry in the importance matrix, such as '{}'; they are quantized "
        "without",
        without, takers, example));
  }
  return {};
}

}  // namespace

Status check_plan(const ResolveOptions& options, Plan& plan) {
  PRECIS_TRY(check_something_is_quantized(options, plan));
  PRECIS_TRY(check_importance(options, plan));
  warn_of_components_left_whole(options, plan);
  return {};
}

Status check_memory(const Plan& plan) {
  const TensorPlan* largest = nullptr;
  const ComponentPlan* owner = nullptr;
  for (const ComponentPlan& component : plan.components) {
    for (const TensorPlan& tensor : component.tensors) {
      if (largest != nullptr && tensor.working_set_bytes <= largest->working_set_bytes) continue;
      largest = &tensor;
      owner = &component;
    }
  }
  if (largest == nullptr || largest->working_set_bytes <= plan.max_memory) return {};
  const uint64_t mebibytes = (largest->working_set_bytes + (1 << 20) - 1) >> 20;
  return Error(
      ErrorCode::out_of_memory,
      fmt::format("{}{}tensor '{}' needs {} of working memory, --max-memory allows {}",
                  owner->name.empty() ? "" : "component " + owner->name,
                  owner->name.empty() ? "" : ": ", largest->source.param.name,
                  format_bytes(largest->working_set_bytes), format_bytes(plan.max_memory)),
      fmt::format("--max-memory {}MiB suffices, or keep the tensor with --skip", mebibytes));
}

}  // namespace precis
