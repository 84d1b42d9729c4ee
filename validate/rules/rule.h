// The rules that a plugin is held against while it runs, each in a process of its own.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "validate/runner/child.h"
#include "validate/subject/subject.h"
#include "validate/subject/weights.h"

namespace precis::validate {

struct Rule {
  // "quantize.outputs": the group, and what is looked at.
  std::string_view id;
  // Of the contract: a number of plugin_api/README.md, or the header and the declaration whose
  // comment it is.
  std::string_view clause;
  std::string_view explanation;
  Verdict (*test)(Subject& subject);
  // Where it fails, the rules of later groups say nothing and are skipped.
  bool gate = false;
  // The subject is started before the test; false: the test does that.
  bool started = true;
  Leave leave = Leave::at_once;
};

// In the order in which they are tried.
std::span<const Rule> entry_rules();
std::span<const Rule> factory_rules();
std::span<const Rule> config_rules();
std::span<const Rule> plan_rules();
std::span<const Rule> quantize_rules();
std::span<const Rule> dequantize_rules();
std::span<const Rule> linear_rules();
std::span<const Rule> loading_rules();
std::span<const Rule> serialize_rules();
std::span<const Rule> calibration_rules();
std::span<const Rule> grid_rules();
std::span<const Rule> call_rules();
std::span<const Rule> process_rules();

std::vector<Rule> all_rules();

// Runs `test` for every preset, with a quantizer of it; the first failure, with the preset's name,
// is the verdict. Skipped when it is skipped for all.
Verdict for_each_preset(const Subject& subject,
                        const std::function<Verdict(const Preset&, const Instance&)>& test);

// The same with a weight that the preset writes, of normal numbers.
Verdict for_each_weight(const Subject& subject,
                        const std::function<Verdict(const Instance&, const Weight&)>& test);

// The same with a weight that can be decoded: of the input, where one was given.
Verdict for_each_readable(const Subject& subject,
                          const std::function<Verdict(const Instance&, const Weight&)>& test);

}  // namespace precis::validate
