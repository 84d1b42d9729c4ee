#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

TEST(EetqOnDevice, Weights) {
  DeviceCase weight{"eetq", R"({"quant_method": "eetq"})", 64, 192, 0};
  weight.multiplies = false;
  expect_device_as_cpu(weight);
}

}  // namespace
}  // namespace precis
