#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase torchao(const std::string& type, int64_t rows, int64_t columns) {
  DeviceCase made{"torchao", R"({"quant_method": "torchao", "quant_type": )" + type + "}", rows,
                  columns, 0x1p-6};
  made.encodes = false;
  return made;
}

TEST(TorchAoOnDevice, Int8) {
  expect_device_as_cpu(torchao(R"("int8_weight_only")", 24, 200));
}

TEST(TorchAoOnDevice, Int4) {
  expect_device_as_cpu(torchao(R"("int4_weight_only")", 24, 256));
}

TEST(TorchAoOnDevice, Float8) {
  expect_device_as_cpu(torchao(R"("float8_weight_only")", 24, 200));
}

TEST(TorchAoOnDevice, EncodesOnTheCpu) {
  expect_encoding_refused(torchao(R"("int8_weight_only")", 16, 64));
}

TEST(TorchAoOnDevice, OtherDevices) {
  expect_other_devices_refused(torchao(R"("int8_weight_only")", 16, 64));
}

}  // namespace
}  // namespace precis
