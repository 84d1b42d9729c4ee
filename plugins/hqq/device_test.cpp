#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase hqq(const std::string& bits, const std::string& group_size, int64_t rows = 40) {
  DeviceCase made{"hqq",
                  R"({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": )" +
                      bits + R"(, "group_size": )" + group_size +
                      R"(, "axis": 1, "optimize": true}}})",
                  rows, 256, 0x1p-6};
  made.encodes = false;
  return made;
}

TEST(HqqOnDevice, EveryWidth) {
  for (const char* bits : {"8", "6", "5", "4", "3", "2", "1.58", "1"})
    expect_device_as_cpu(hqq(bits, "64"));
}

TEST(HqqOnDevice, GroupOfARow) {
  expect_device_as_cpu(hqq("4", "256"));
}

TEST(HqqOnDevice, EncodesOnTheCpu) {
  expect_encoding_refused(hqq("4", "64"));
}

TEST(HqqOnDevice, OtherDevices) {
  expect_other_devices_refused(hqq("4", "64"));
}

}  // namespace
}  // namespace precis
