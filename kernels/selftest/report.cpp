#include "kernels/selftest/report.h"

#include <algorithm>
#include <cstdio>

namespace precis::kernels {
namespace {

// Names and faults are ASCII; quotes, backslashes and control characters are escaped.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

size_t SelftestReport::failures() const {
  return static_cast<size_t>(std::count_if(checks.begin(), checks.end(),
                                           [](const auto& check) { return !check.fault.empty(); }));
}

std::string SelftestReport::text() const {
  std::string out = "device " + device + ": " + device_name + "\n";
  for (const CheckOutcome& check : checks)
    if (!check.fault.empty()) out += "FAILED " + check.name + ": " + check.fault + "\n";
  out += std::to_string(checks.size() - failures()) + " of " + std::to_string(checks.size()) +
         " checks passed\n";
  for (const Speed& speed : speeds) {
    char line[200];
    std::snprintf(
        line, sizeof line,
        "%-40s %9.1f us  %7.1f GB/s (%3.0f %% of copy)  %7.1f TFLOP/s (%3.0f %% of peak)\n",
        speed.name.c_str(), speed.microseconds, speed.gigabytes_per_second,
        100 * speed.fraction_of_copy, speed.teraflops, 100 * speed.fraction_of_peak);
    out += line;
  }
  return out;
}

std::string SelftestReport::json() const {
  std::string out = "{\"device\": " + quoted(device) + ", \"name\": " + quoted(device_name) +
                    ", \"passed\": " + std::to_string(checks.size() - failures()) +
                    ", \"failed\": " + std::to_string(failures()) + ", \"checks\": [";
  for (size_t i = 0; i < checks.size(); ++i)
    out += std::string(i == 0 ? "" : ", ") + "{\"name\": " + quoted(checks[i].name) +
           ", \"passed\": " + (checks[i].fault.empty() ? "true" : "false") +
           ", \"fault\": " + quoted(checks[i].fault) + "}";
  out += "], \"speeds\": [";
  for (size_t i = 0; i < speeds.size(); ++i)
    out += std::string(i == 0 ? "" : ", ") + "{\"name\": " + quoted(speeds[i].name) +
           ", \"microseconds\": " + number(speeds[i].microseconds) +
           ", \"gigabytes_per_second\": " + number(speeds[i].gigabytes_per_second) +
           ", \"fraction_of_copy\": " + number(speeds[i].fraction_of_copy) +
           ", \"teraflops\": " + number(speeds[i].teraflops) +
           ", \"fraction_of_peak\": " + number(speeds[i].fraction_of_peak) + "}";
  return out + "]}\n";
}

}  // namespace precis::kernels
