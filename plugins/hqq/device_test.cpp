#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

// Weights of size 1, which few bits round with errors that the device's fit does not take.
bool encodes(const std::string& bits) {
  return bits == "8" || bits == "6" || bits == "5";
}

DeviceCase hqq(const std::string& bits, const std::string& group_size, int64_t rows = 40) {
  DeviceCase made{"hqq",
                  R"({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": )" +
                      bits + R"(, "group_size": )" + group_size +
                      R"(, "axis": 1, "optimize": true}}})",
                  rows, 256, 0x1p-6};
  made.encodes = encodes(bits);
  return made;
}

TEST(HqqOnDevice, EveryWidth) {
  for (const char* bits : {"8", "6", "5", "4", "3", "2", "1.58", "1"})
    expect_device_as_cpu(hqq(bits, "64"));
}

TEST(HqqOnDevice, GroupOfARow) {
  expect_device_as_cpu(hqq("4", "256"));
}

// With axis 0 they are encoded on the CPU.
TEST(HqqOnDevice, GroupsOfColumns) {
  for (const char* bits : {"8", "4", "3", "2", "1"}) {
    DeviceCase on = hqq(bits, "32", 64);
    on.config.replace(on.config.find(R"("axis": 1)"), 9, R"("axis": 0)");
    on.encodes = false;
    expect_device_as_cpu(on);
  }
}

TEST(HqqOnDevice, LargeErrorsAreEncodedOnTheCpu) {
  expect_encoding_refused(
      hqq("2", "64"),
      "on a device no weight is fitted whose errors are beyond 0.17: the fit takes powers of them, "
      "whose bits are the C library's");
}

TEST(HqqOnDevice, OtherDevices) {
  expect_other_devices_refused(hqq("4", "64"));
}

}  // namespace
}  // namespace precis
