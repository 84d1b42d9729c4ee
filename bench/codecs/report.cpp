#include "bench/codecs/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace precis::bench {
namespace {

// "quantize/q4_0/f32/ggml" is the rate of "ggml" for "quantize/q4_0/f32".
std::pair<std::string, std::string> split_library(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace

bool ShareReporter::ReportContext(const Context&) {
  return true;
}

void ShareReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    const auto rate = run.counters.find("bytes_per_second");
    if (run.error_occurred || run.run_type != Run::RT_Iteration || rate == run.counters.end())
      continue;
    const auto [row, library] = split_library(run.run_name.function_name);
    const std::pair<std::string, int> key(row, static_cast<int>(run.threads));
    double& best = rates_[key][library];
    // The rate is that of one of the threads.
    best = std::max(best, static_cast<double>(rate->second) * static_cast<double>(run.threads));
  }
}

std::string ShareReporter::table() const {
  std::string text = fmt::format("{:<30} {:>7} {:>8} {:>9} {:>6}  {}\n", "operation/format/type",
                                 "threads", "GB/s", "Mweight/s", "share", "other library");
  for (const auto& [key, rates] : rates_) {
    const auto& [row, threads] = key;
    if (row == "limit") {
      for (const auto& [kind, rate] : rates)
        text += fmt::format("{:<30} {:>7} {:>8.1f}\n", "limit: " + kind, threads, rate * 1e-9);
      continue;
    }
    const auto own = rates.find("precis");
    if (own == rates.end()) continue;
    const Rates& limits =
        rates_.count({"limit", threads}) != 0 ? rates_.at({"limit", threads}) : rates;
    const auto limit = limits.find(row.starts_with("quantize") ? "read" : "write");
    const double bytes = row.ends_with("f32") ? 4 : 2;
    text += fmt::format(
        "{:<30} {:>7} {:>8.2f} {:>9.0f} {:>6}", row, threads, own->second * 1e-9,
        own->second / bytes * 1e-6,
        limit == limits.end() ? "" : fmt::format("{:.2f}", own->second / limit->second));
    for (const auto& [library, rate] : rates) {
      if (library != "precis")
        text += fmt::format("  {} {:.2f}, {:.1f} times", library, rate * 1e-9, own->second / rate);
    }
    text += "\n";
  }
  return text;
}

}  // namespace precis::bench
