// The table of shares: every rate over the limit of the same run, and over the best other library.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>

namespace precis::bench {

// Collects the best repetition of every benchmark. The best, not the mean: what disturbs a run
// only ever makes it slower.
class ShareReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

  // A row for each operation, format, number type and thread count.
  std::string table() const;

 private:
  // By "operation/format/type", threads and library: bytes of numbers a second.
  using Rates = std::map<std::string, double>;
  std::map<std::pair<std::string, int>, Rates> rates_;
};

}  // namespace precis::bench
