// What tests of kernels' traffic share: arrays as a device has them, and limits.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "kernels/simt/simt.h"
#include "kernels/simt/trace.h"

namespace precis::kernels::device_simt {

// Zeroed memory aligned as a device's allocator aligns it.
template <class T>
class Array {
 public:
  explicit Array(size_t count)
      : data_(static_cast<T*>(std::aligned_alloc(256, (count * sizeof(T) + 255) / 256 * 256))) {
    std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
  }
  ~Array() { std::free(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data() const { return data_; }

 private:
  T* data_;
};

// Limits on the ratio to the least possible traffic.
struct Limits {
  double sectors, bank_cycles;
};

class DeviceTraffic : public testing::Test {
 protected:
  void SetUp() override {
    simt::options() = simt::Options{};
    simt::trace_reset();
  }
  static void expect(const char* error, Limits limits) {
    ASSERT_EQ(error, nullptr);
    const simt::TraceReport& report = simt::trace_report();
    ASSERT_FALSE(report.sites.empty());
    for (const std::string& race : report.races) ADD_FAILURE() << race;
    for (const std::string& unset : report.unset) ADD_FAILURE() << unset;
    EXPECT_LE(report.sectors_over_least(), limits.sectors) << report.table();
    EXPECT_LE(report.bank_cycles_over_least(), limits.bank_cycles) << report.table();
  }
};

}  // namespace precis::kernels::device_simt
