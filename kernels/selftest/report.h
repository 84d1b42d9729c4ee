// The self-test's results as text and as JSON.
#pragma once

#include <string>
#include <vector>

namespace precis::kernels {

struct CheckOutcome {
  std::string name;
  std::string fault;  // empty: passed
};

// One measurement on a device.
struct Speed {
  std::string name;
  double microseconds = 0;
  double gigabytes_per_second = 0, fraction_of_copy = 0;  // 0 where bytes do not bound it
  double teraflops = 0, fraction_of_peak = 0;             // 0 where products do not bound it
};

struct SelftestReport {
  std::string device;       // "simt"
  std::string device_name;  // as the runtime calls it
  std::vector<CheckOutcome> checks;
  std::vector<Speed> speeds;

  size_t failures() const;
  std::string text() const;
  std::string json() const;
};

}  // namespace precis::kernels
