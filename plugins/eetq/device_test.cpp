#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase eetq(int64_t rows, int64_t columns) {
  return {"eetq", R"({"quant_method": "eetq"})", rows, columns, 0x1p-7};
}

TEST(EetqOnDevice, Weights) {
  expect_device_as_cpu(eetq(64, 192));
  expect_device_as_cpu(eetq(128, 1088));
}

TEST(EetqOnDevice, OtherDevices) {
  expect_other_devices_refused(eetq(64, 64));
}

}  // namespace
}  // namespace precis
