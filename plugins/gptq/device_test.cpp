#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase gptq(const std::string& options, int64_t columns = 256) {
  return {"gptq", R"({"quant_method": "gptq", )" + options + "}", 64, columns, 0x1p-6};
}

TEST(GptqOnDevice, EveryWidth) {
  for (const char* bits : {"2", "3", "4", "5", "6", "7", "8"})
    expect_device_as_cpu(
        gptq(std::string(R"("bits": )") + bits + R"(, "checkpoint_format": "gptq_p")"));
  for (const char* bits : {"2", "3", "4", "8"})
    expect_device_as_cpu(gptq(std::string(R"("bits": )") + bits));
}

TEST(GptqOnDevice, GroupsAndZeroPoints) {
  expect_device_as_cpu(gptq(R"("bits": 4, "group_size": 32, "sym": false)"));
  expect_device_as_cpu(gptq(R"("bits": 4, "group_size": -1)"));
  expect_device_as_cpu(gptq(R"("bits": 4, "checkpoint_format": "gptq_v2", "sym": false)", 320));
}

TEST(GptqOnDevice, OtherDevices) {
  expect_other_devices_refused(gptq(R"("bits": 4)"));
}

}  // namespace
}  // namespace precis
