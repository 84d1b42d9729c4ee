#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

// Products differ in the order of float32's sums, and so in the rounding of y: of 8 bits in
// bfloat16.
DeviceCase bitnet(const std::string& linear, int64_t rows, int64_t columns) {
  return {"bitnet", R"({"quant_method": "bitnet", "linear_class": ")" + linear + R"("})", rows,
          columns, 0x1p-8};
}

TEST(BitNetOnDevice, Weights) {
  for (const char* linear : {"bitlinear", "autobitlinear"}) {
    expect_device_as_cpu(bitnet(linear, 24, 200));
    expect_device_as_cpu(bitnet(linear, 160, 1096));
  }
}

TEST(BitNetOnDevice, OtherDevices) {
  expect_other_devices_refused(bitnet("bitlinear", 24, 200));
}

}  // namespace
}  // namespace precis
