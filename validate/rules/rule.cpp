#include "validate/rules/rule.h"

#include <algorithm>

#include "validate/subject/stored.h"

namespace precis::validate {

std::vector<Rule> all_rules() {
  std::vector<Rule> rules;
  for (const auto group : {entry_rules, factory_rules, config_rules, plan_rules, quantize_rules,
                           dequantize_rules, linear_rules, loading_rules, serialize_rules,
                           calibration_rules, grid_rules, call_rules, process_rules}) {
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

namespace {

using FindWeight = std::function<std::optional<Weight>(const Instance&)>;

Verdict for_each_found(const Subject& subject, const FindWeight& find, const char* without,
                       const std::function<Verdict(const Instance&, const Weight&)>& test) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = find(instance);
    if (!weight) return Verdict::skip(without);
    doing(fmt::format("preset {}, {}", preset.name, weight->text()));
    Verdict verdict = test(instance, *weight);
    if (verdict.kind() != Verdict::Kind::failed) return verdict;
    return violation("{}: {}", weight->text(), verdict.text());
  });
}

}  // namespace

Verdict for_each_weight(const Subject& subject,
                        const std::function<Verdict(const Instance&, const Weight&)>& test) {
  if (subject.input() != nullptr) return Verdict::skip("it is about writing, --input is read");
  return for_each_found(
      subject, [](const Instance& instance) { return fitting_weight(instance); },
      "no preset of it writes weights", test);
}

Verdict for_each_readable(const Subject& subject,
                          const std::function<Verdict(const Instance&, const Weight&)>& test) {
  return for_each_found(
      subject, [&](const Instance& instance) { return readable_weight(subject, instance); },
      subject.input() == nullptr
          ? "no preset of it writes weights; --input FILE gives it one to read"
          : "it finds no matrix in the input",
      test);
}

}  // namespace precis::validate
