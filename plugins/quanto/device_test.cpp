#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase quanto(const std::string& weights, int64_t rows, int64_t columns) {
  return {"quanto", R"({"quant_method": "quanto", "weights": ")" + weights + R"("})", rows, columns,
          0x1p-6};
}

TEST(QuantoOnDevice, Bytes) {
  for (const char* weights : {"int8", "float8", "float8_e5m2"})
    expect_device_as_cpu(quanto(weights, 24, 200));
}

// With groups of 128, bfloat16 weights take the library's detour through tinygemm.
TEST(QuantoOnDevice, Groups) {
  for (const char* weights : {"int4", "int2"}) {
    expect_device_as_cpu(quanto(weights, 32, 256));
    expect_device_as_cpu(quanto(weights, 9, 96));
  }
}

TEST(QuantoOnDevice, OtherDevices) {
  expect_other_devices_refused(quanto("int4", 16, 128));
}

}  // namespace
}  // namespace precis
