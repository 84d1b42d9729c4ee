#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase weights(const std::string& options, int64_t columns) {
  return {"quark",
          R"({"quant_method": "quark", "global_quant_config": {"weight": {)" + options + "}}}", 24,
          columns, 0x1p-7};
}

TEST(QuarkOnDevice, Weights) {
  for (const char* dtype : {"fp8_e4m3", "int8"}) {
    const std::string name = std::string(R"("dtype": ")") + dtype + R"(", "symmetric": true, )";
    expect_device_as_cpu(weights(name + R"("qscheme": "per_tensor")", 200));
    expect_device_as_cpu(weights(name + R"("qscheme": "per_channel", "ch_axis": 0)", 200));
  }
  expect_device_as_cpu(weights(
      R"("dtype": "fp4", "qscheme": "per_group", "ch_axis": -1, "group_size": 32, "scale_format": "e8m0")",
      160));
}

TEST(QuarkOnDevice, Refused) {
  expect_other_devices_refused(
      weights(R"("dtype": "int8", "symmetric": true, "qscheme": "per_tensor")", 64));
}

}  // namespace
}  // namespace precis
