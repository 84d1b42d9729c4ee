#include "core/engine/rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/checkpoint/family.h"

namespace precis {

Result<NamePattern> NamePattern::compile(const std::string& text) {
  NamePattern pattern;
  pattern.text_ = text;
  pattern.expression_ = std::make_unique<re2::RE2>(text, re2::RE2::Quiet);
  if (!pattern.expression_->ok()) {
    return Error(ErrorCode::invalid_argument, fmt::format("'{}' is not a regular expression: {}",
                                                          text, pattern.expression_->error()));
  }
  return pattern;
}

bool NamePattern::matches(std::string_view component, std::string_view name) const {
  if (re2::RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *expression_)) return true;
  if (component.empty()) return false;
  const std::string full = fmt::format("{}.{}", component, name);
  return re2::RE2::PartialMatch(full, *expression_);
}

namespace {

std::string component_names(const Checkpoint& checkpoint) {
  std::string names;
  for (const Component& component : checkpoint.components) {
    names += (names.empty() ? "" : ", ") + component.name;
  }
  return names;
}

Status check_components(const ResolveOptions& options, const Checkpoint& checkpoint) {
  for (const auto& [name, spec] : options.components) {
    const bool known = std::any_of(checkpoint.components.begin(), checkpoint.components.end(),
                                   [&name = name](const Component& c) { return c.name == name; });
    if (known) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("component '{}={}' matches nothing", name, spec),
                 checkpoint.kind == CheckpointKind::pipeline
                     ? fmt::format("components here: {}", component_names(checkpoint))
                     : "this is a single model without components: use --type or --rule");
  }
  return {};
}

}  // namespace

Result<RuleSet> RuleSet::compile(const ResolveOptions& options, const Checkpoint& checkpoint) {
  PRECIS_TRY(check_components(options, checkpoint));
  RuleSet set;
  set.type_ = options.type;
  set.components_ = options.components;
  for (const auto& [regex, spec] : options.rules) {
    PRECIS_ASSIGN(NamePattern pattern, NamePattern::compile(regex));
    set.rules_.push_back({fmt::format("--rule '{}={}'", regex, spec), std::move(pattern), spec});
  }
  for (const std::string& regex : options.skips) {
    PRECIS_ASSIGN(NamePattern pattern, NamePattern::compile(regex));
    set.skips_.push_back({fmt::format("--skip '{}'", regex), std::move(pattern), "keep"});
  }
  if (options.default_skips) {
    for (const Component& component : checkpoint.components) {
      auto& list = set.default_skips_[component.family];
      if (!list.empty()) continue;
      for (const FamilySkip& skip : default_skips(component.family)) {
        PRECIS_ASSIGN(NamePattern pattern, NamePattern::compile(skip.pattern));
        list.push_back({std::move(pattern), skip.reason});
      }
    }
  }
  return set;
}

Choice RuleSet::choose(const Component& component, const std::string& name, bool quantizable,
                       bool converted) {
  Choice choice{"", quantizable ? "no rule asks for it" : "not a weight that methods replace",
                false};
  if (quantizable && !type_.empty()) choice = {type_, fmt::format("--type {}", type_), false};
  for (const auto& [component_name, spec] : components_) {
    if (quantizable && component_name == component.name) {
      choice = {spec, fmt::format("--component {}={}", component_name, spec), false};
    }
  }
  if (choice.spec != "keep" && !choice.spec.empty() && !converted &&
      lifted_[component.family].count(module_leaf(name)) == 0) {
    for (const DefaultSkip& skip : default_skips_[component.family]) {
      if (skip.pattern.matches("", name)) choice = {"", "default skip: " + skip.reason, false};
    }
  }
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    Rule& rule = rules_[i];
    if (!rule.pattern.matches(component.name, name)) continue;
    ++rule.matches;
    choice = {rule.spec, rule.option, rule.spec != "keep", i};
  }
  for (Rule& skip : skips_) {
    if (!skip.pattern.matches(component.name, name)) continue;
    ++skip.matches;
    choice = {"", skip.option, false};
  }
  if (choice.spec == "keep") choice.spec.clear();
  return choice;
}

void RuleSet::withdraw(const Choice& choice) {
  ++rules_[choice.rule].withdrawn;
}

std::string module_leaf(std::string_view tensor_name) {
  const std::string_view module =
      tensor_name.substr(0, std::min(tensor_name.rfind('.'), tensor_name.size()));
  return std::string(module.substr(module.rfind('.') + 1));
}

Status RuleSet::check_all_matched() const {
  for (const auto* list : {&rules_, &skips_}) {
    for (const Rule& rule : *list) {
      if (rule.matches > rule.withdrawn) continue;
      return Error(ErrorCode::invalid_argument,
                   fmt::format("{} matches nothing{}", rule.option,
                               rule.withdrawn > 0 ? " that its method quantizes" : ""),
                   "see `precis inspect PATH` for the names of the tensors");
    }
  }
  return {};
}

}  // namespace precis
