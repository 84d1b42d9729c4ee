#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase awq(const std::string& version, const std::string& group_size, int64_t rows,
               int64_t columns) {
  return {"awq",
          R"({"quant_method": "awq", "bits": 4, "version": ")" + version + R"(", "group_size": )" +
              group_size + "}",
          rows, columns, 0x1p-6};
}

TEST(AwqOnDevice, EveryLayout) {
  for (const char* version : {"gemm", "gemv", "gemv_fast", "llm-awq"}) {
    expect_device_as_cpu(awq(version, "128", 40, 256));
    expect_device_as_cpu(awq(version, "64", 8, 192));
  }
}

TEST(AwqOnDevice, OneGroupARow) {
  expect_device_as_cpu(awq("gemm", "-1", 24, 72));
}

TEST(AwqOnDevice, OtherDevices) {
  expect_other_devices_refused(awq("gemm", "128", 16, 128));
}

}  // namespace
}  // namespace precis
