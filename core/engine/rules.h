// Which method each weight of a component gets, by the user's rules and the family's skips.
#pragma once

#include <re2/re2.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/resolve.h"

namespace precis {

// A regular expression (RE2 syntax) that is searched in a tensor's name and in "component.name".
class NamePattern {
 public:
  // Errors: invalid_argument with RE2's explanation.
  static Result<NamePattern> compile(const std::string& text);
  bool matches(std::string_view component, std::string_view name) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::unique_ptr<re2::RE2> expression_;
};

// The answer for one weight.
struct Choice {
  std::string spec;      // config string; empty: keep
  std::string reason;    // in words: "--rule 'blocks.0=q8_0'", "default skip: norm"
  bool by_rule = false;  // an explicit --rule chose the method
  std::size_t rule = 0;  // by_rule: which
};

// "to_q" of "blocks.0.attn.to_q.weight".
std::string module_leaf(std::string_view tensor_name);

// All rules of a run, compiled; counts what matched.
class RuleSet {
 public:
  static Result<RuleSet> compile(const ResolveOptions& options, const Checkpoint& checkpoint);

  // The choice for a tensor. quantizable: it is a weight of the kind that methods replace; of
  // others only an explicit rule makes a choice. converted: it is quantized already, so that
  // default skips, which keep numbers, do not count.
  Choice choose(const Component& component, const std::string& name, bool quantizable,
                bool converted = false);

  // The method that `choice`'s rule names does not quantize this tensor (a bias, a norm): it counts
  // as not matched.
  void withdraw(const Choice& choice);

  // From now on no default skip of this family applies to modules whose last name segment is among
  // `leaves`.
  void lift_default_skips(const std::string& family, std::set<std::string> leaves) {
    lifted_[family] = std::move(leaves);
  }

  // Error invalid_argument naming the first rule or skip that never matched, or matched
  // only what its method does not quantize.
  Status check_all_matched() const;

 private:
  struct Rule {
    std::string option;  // "--rule 'REGEX=SPEC'"
    NamePattern pattern;
    std::string spec;
    std::size_t matches = 0;
    std::size_t withdrawn = 0;
  };
  struct DefaultSkip {
    NamePattern pattern;
    std::string reason;
  };
  std::string type_;
  std::vector<std::pair<std::string, std::string>> components_;
  std::vector<Rule> rules_, skips_;
  std::map<std::string, std::vector<DefaultSkip>> default_skips_;  // by family
  std::map<std::string, std::set<std::string>> lifted_;            // by family
};

}  // namespace precis
