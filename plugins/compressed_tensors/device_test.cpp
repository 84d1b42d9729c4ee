#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

std::string config_of(const std::string& group) {
  return R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], )" +
         group + "}}}";
}
DeviceCase weights(const std::string& args, int64_t columns = 256) {
  return {"compressed-tensors", config_of(R"("weights": {)" + args + "}"), 24, columns, 0x1p-7};
}
DeviceCase integers(int bits, bool symmetric, const std::string& rest, int64_t columns = 256) {
  return weights(R"("num_bits": )" + std::to_string(bits) + R"(, "type": "int", "symmetric": )" +
                     (symmetric ? "true, " : "false, ") + rest,
                 columns);
}

TEST(CompressedTensorsOnDevice, Integers) {
  for (const bool symmetric : {true, false}) {
    for (const int bits : {4, 8, 3})
      expect_device_as_cpu(integers(bits, symmetric, R"("strategy": "group", "group_size": 32)"));
    expect_device_as_cpu(integers(4, symmetric, R"("strategy": "channel")", 200));
  }
  expect_device_as_cpu(integers(8, true, R"("strategy": "tensor")", 200));
}

TEST(CompressedTensorsOnDevice, Floats) {
  for (const char* strategy : {R"("strategy": "tensor")", R"("strategy": "channel")",
                               R"("strategy": "block", "block_structure": [8, 64])"})
    expect_device_as_cpu(weights(std::string(R"("num_bits": 8, "type": "float", )") + strategy));
  for (const char* group :
       {R"("group_size": 16, "strategy": "tensor_group", "scale_dtype": "torch.float8_e4m3fn")",
        R"("group_size": 32, "strategy": "group", "scale_dtype": "torch.uint8")"})
    expect_device_as_cpu(weights(std::string(R"("num_bits": 4, "type": "float", )") + group));
  for (const int bits : {6, 8})
    expect_device_as_cpu(weights(
        R"("num_bits": )" + std::to_string(bits) +
        R"(, "type": "float", "group_size": 32, "strategy": "group", "scale_dtype": "torch.uint8")"));
}

TEST(CompressedTensorsOnDevice, RoundedActivations) {
  const auto dynamic = [](const std::string& args, const std::string& inputs) {
    return DeviceCase{"compressed-tensors",
                      config_of(R"("weights": {)" + args +
                                R"(}, "input_activations": {"dynamic": true, )" + inputs + "}"),
                      24, 256, 0x1p-6};
  };
  const std::string channel = R"("num_bits": 8, "strategy": "channel", "type": )";
  expect_device_as_cpu(
      dynamic(channel + R"("int")", R"("num_bits": 8, "type": "int", "strategy": "token")"));
  expect_device_as_cpu(
      dynamic(channel + R"("int")",
              R"("num_bits": 8, "type": "int", "strategy": "token", "symmetric": false)"));
  expect_device_as_cpu(
      dynamic(channel + R"("float")", R"("num_bits": 8, "type": "float", "strategy": "token")"));
}

TEST(CompressedTensorsOnDevice, Refused) {
  expect_other_devices_refused(integers(8, true, R"("strategy": "channel")"));
}

}  // namespace
}  // namespace precis
