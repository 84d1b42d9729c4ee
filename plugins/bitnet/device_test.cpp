#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

TEST(BitNetOnDevice, Weights) {
  for (const char* linear : {"bitlinear", "autobitlinear"}) {
    DeviceCase weight{
        "bitnet", R"({"quant_method": "bitnet", "linear_class": ")" + std::string(linear) + R"("})",
        24, 200, 0};
    weight.multiplies = false;
    expect_device_as_cpu(weight);
  }
}

}  // namespace
}  // namespace precis
