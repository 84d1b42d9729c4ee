#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase torchao(const std::string& type, const std::string& arguments, int64_t rows,
                   int64_t columns) {
  return {"torchao",
          R"({"quant_method": "torchao", "quant_type": ")" + type + R"(", "quant_type_kwargs": )" +
              arguments + "}",
          rows, columns, 0x1p-6};
}

TEST(TorchAoOnDevice, Int8) {
  expect_device_as_cpu(torchao("int8_weight_only", "{}", 24, 200));
  expect_device_as_cpu(torchao("int8_weight_only", R"({"group_size": 32})", 24, 192));
}

TEST(TorchAoOnDevice, Int4) {
  expect_device_as_cpu(torchao("int4_weight_only", "{}", 24, 256));
  expect_device_as_cpu(torchao("int4_weight_only", R"({"group_size": 32})", 9, 96));
}

TEST(TorchAoOnDevice, Int4Tiles) {
  DeviceCase weight = torchao(
      "int4_weight_only", R"({"group_size": 64, "packing_format": "tile_packed_to_4d"})", 13, 1088);
  weight.bfloat16_only = true;
  expect_device_as_cpu(weight);
}

TEST(TorchAoOnDevice, Float8) {
  expect_device_as_cpu(torchao("float8_weight_only", "{}", 24, 200));
  expect_device_as_cpu(torchao("float8_weight_only", R"({"granularity": "tensor"})", 24, 200));
}

// Activations are rounded on the device: int8 by bits, sums being exact.
TEST(TorchAoOnDevice, Int8Activations) {
  DeviceCase weight = torchao("int8_dynamic_activation_int8_weight", "{}", 24, 208);
  weight.tolerance = 0;
  expect_device_as_cpu(weight);
}

TEST(TorchAoOnDevice, Float8Activations) {
  DeviceCase weight = torchao("float8dq_e4m3_row", "{}", 32, 208);
  weight.bfloat16_only = true;
  expect_device_as_cpu(weight);
}

// Activations rounded in their own dtype in front of a product of floats.
TEST(TorchAoOnDevice, IntxActivations) {
  for (const char* dtype : {"int4", "int8", "int3"})
    expect_device_as_cpu(torchao("Int8DynamicActivationIntxWeightConfig",
                                 R"({"weight_dtype": ")" + std::string(dtype) + R"("})", 24, 192));
}

TEST(TorchAoOnDevice, OneScaleOfIntegersIsFoundOnTheCpu) {
  expect_encoding_refused(torchao("int8_weight_only", R"({"granularity": "tensor"})", 24, 200));
}

TEST(TorchAoOnDevice, OtherDevices) {
  expect_other_devices_refused(torchao("int8_weight_only", "{}", 16, 64));
}

}  // namespace
}  // namespace precis
