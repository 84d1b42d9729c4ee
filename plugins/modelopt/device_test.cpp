#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase algorithm(const std::string& name) {
  return {"modelopt", R"({"quant_method": "modelopt", "quant_algo": ")" + name + R"("})", 26, 256,
          0x1p-7};
}

TEST(ModelOptOnDevice, Algorithms) {
  for (const char* name : {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "fp8_pb_wo", "MXFP8", "W8A16",
                           "W4A16_AWQ", "NVFP4", "W4A16_NVFP4", "W4A8_NVFP4_FP8", "mxfp4"})
    expect_device_as_cpu(algorithm(name));
}

TEST(ModelOptOnDevice, Refused) {
  expect_other_devices_refused(algorithm("FP8"));
}

}  // namespace
}  // namespace precis
