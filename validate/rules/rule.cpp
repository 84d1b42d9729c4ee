#include "validate/rules/rule.h"

#include <algorithm>

namespace precis::validate {

std::vector<Rule> all_rules() {
  std::vector<Rule> rules;
  for (const auto group :
       {entry_rules, factory_rules, config_rules, plan_rules, quantize_rules, dequantize_rules,
        linear_rules, loading_rules, serialize_rules, call_rules, process_rules}) {
    const auto members = group();
    rules.insert(rules.end(), members.begin(), members.end());
  }
  return rules;
}

Verdict for_each_preset(const Subject& subject,
                        const std::function<Verdict(const Preset&, const Instance&)>& test) {
  Verdict skipped = Verdict::skip("the manifest has no preset");
  bool tested = false;
  for (const Preset& preset : subject.presets()) {
    doing("preset " + preset.name);
    auto instance = Instance::make(subject, preset);
    if (!instance.ok()) return std::move(instance).error().with_context("preset " + preset.name);
    Verdict verdict = test(preset, *instance);
    if (verdict.kind() == Verdict::Kind::failed)
      return violation("preset {}: {}", preset.name, verdict.text());
    if (verdict.kind() == Verdict::Kind::skipped)
      skipped = std::move(verdict);
    else
      tested = true;
  }
  return tested ? Verdict() : skipped;
}

Verdict for_each_weight(const Subject& subject,
                        const std::function<Verdict(const Instance&, const Weight&)>& test) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = fitting_weight(instance);
    if (!weight) return Verdict::skip("no preset of it writes weights");
    doing(fmt::format("preset {}, {}", preset.name, weight->text()));
    Verdict verdict = test(instance, *weight);
    if (verdict.kind() != Verdict::Kind::failed) return verdict;
    return violation("{}: {}", weight->text(), verdict.text());
  });
}

}  // namespace precis::validate
