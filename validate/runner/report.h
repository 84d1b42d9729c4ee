// The results of many rules, for people, for programs and for CI servers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "validate/runner/child.h"

namespace precis::validate {

struct RuleResult {
  std::string plugin, rule, clause, explanation;
  ChildResult outcome;
};

struct Report {
  std::vector<RuleResult> results;

  std::size_t count(Verdict::Kind kind) const;
};

// One line of `result`; of a failure also what the plugin wrote. Control characters are escaped.
std::string result_line(const RuleResult& result);
std::string summary_line(const Report& report);

// {"passed", "failed", "skipped", "results": [{"plugin", "rule", "clause", "explanation",
// "outcome", "text", "seconds", "output"}]}
nlohmann::ordered_json report_json(const Report& report);

// JUnit's XML, one test suite a plugin, as Jenkins and GitLab read it.
std::string report_junit(const Report& report);

}  // namespace precis::validate
