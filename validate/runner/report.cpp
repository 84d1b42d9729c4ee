#include "validate/runner/report.h"

#include <algorithm>

#include "core/base/printable.h"

namespace precis::validate {
namespace {

using nlohmann::ordered_json;

// Text of XML 1.0, which has no place for control characters.
std::string xml(std::string_view text) {
  std::string safe;
  for (const char c : printable(text, "\n")) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\n':
        safe += "&#10;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string test_case(const RuleResult& result) {
  const Verdict& verdict = result.outcome.verdict;
  std::string text = fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"",
                                 xml(result.plugin), xml(result.rule), result.outcome.seconds);
  if (verdict.kind() == Verdict::Kind::passed) return text + "/>\n";
  const bool failed = verdict.kind() == Verdict::Kind::failed;
  text += fmt::format(">\n      <{} message=\"{}\"/>\n", failed ? "failure" : "skipped",
                      xml((failed ? result.clause + ": " : "") + verdict.text()));
  if (failed && !result.outcome.output.empty())
    text += fmt::format("      <system-out>{}</system-out>\n", xml(result.outcome.output));
  return text + "    </testcase>\n";
}

}  // namespace

std::size_t Report::count(Verdict::Kind kind) const {
  return static_cast<std::size_t>(std::count_if(
      results.begin(), results.end(),
      [kind](const RuleResult& result) { return result.outcome.verdict.kind() == kind; }));
}

std::string result_line(const RuleResult& result) {
  const Verdict& verdict = result.outcome.verdict;
  std::string line = fmt::format("{:7} {:28} {:6.2f} s", verdict_name(verdict.kind()), result.rule,
                                 result.outcome.seconds);
  if (!verdict.text().empty()) line += "  " + printable(verdict.text());
  line += "\n";
  if (verdict.kind() != Verdict::Kind::failed) return line;
  line += fmt::format("        {}: {}\n", result.clause, result.explanation);
  if (!result.outcome.output.empty())
    line += fmt::format("        it wrote: {}\n", printable(result.outcome.output));
  return line;
}

std::string summary_line(const Report& report) {
  return fmt::format("{} passed, {} failed, {} skipped\n", report.count(Verdict::Kind::passed),
                     report.count(Verdict::Kind::failed), report.count(Verdict::Kind::skipped));
}

ordered_json report_json(const Report& report) {
  ordered_json results = ordered_json::array();
  for (const RuleResult& result : report.results) {
    results.push_back({{"plugin", result.plugin},
                       {"rule", result.rule},
                       {"clause", result.clause},
                       {"explanation", result.explanation},
                       {"outcome", verdict_name(result.outcome.verdict.kind())},
                       {"text", printable(result.outcome.verdict.text())},
                       {"seconds", result.outcome.seconds},
                       {"output", printable(result.outcome.output)}});
  }
  return {{"passed", report.count(Verdict::Kind::passed)},
          {"failed", report.count(Verdict::Kind::failed)},
          {"skipped", report.count(Verdict::Kind::skipped)},
          {"results", std::move(results)}};
}

std::string report_junit(const Report& report) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (auto begin = report.results.begin(); begin != report.results.end();) {
    const auto end = std::find_if(begin, report.results.end(), [&](const RuleResult& result) {
      return result.plugin != begin->plugin;
    });
    const Report suite{{begin, end}};
    text += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
                        xml(begin->plugin), suite.results.size(),
                        suite.count(Verdict::Kind::failed), suite.count(Verdict::Kind::skipped));
    for (const RuleResult& result : suite.results) text += test_case(result);
    text += "  </testsuite>\n";
    begin = end;
  }
  return text + "</testsuites>\n";
}

}  // namespace precis::validate
