#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

TEST(EetqOnDevice, Decodes) {
  DeviceCase weight{"eetq", R"({"quant_method": "eetq"})", 64, 192, 0, false};
  weight.multiplies = false;
  expect_device_as_cpu(weight);
  expect_encoding_refused(weight);
}

}  // namespace
}  // namespace precis
