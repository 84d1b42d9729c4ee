#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase four_bit(const std::string& options, int64_t rows, int64_t columns) {
  return {"bitsandbytes_4bit",
          R"({"quant_method": "bitsandbytes", "load_in_4bit": true, )" + options + "}", rows,
          columns, 0x1p-7};
}

TEST(BitsAndBytesOnDevice, FourBit) {
  expect_device_as_cpu(four_bit(R"("bnb_4bit_quant_type": "nf4")", 40, 192));
  expect_device_as_cpu(four_bit(R"("bnb_4bit_quant_type": "fp4")", 9, 64));
}

TEST(BitsAndBytesOnDevice, FourBitWithQuantizedMaxima) {
  expect_device_as_cpu(
      four_bit(R"("bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true)", 40, 512));
}

// Sums of integers are exact and the outliers are added in the same order: bit for bit.
TEST(BitsAndBytesOnDevice, EightBit) {
  expect_device_as_cpu({"bitsandbytes_8bit",
                        R"({"quant_method": "bitsandbytes", "load_in_8bit": true})", 40, 192, 0});
}

TEST(BitsAndBytesOnDevice, OtherDevices) {
  expect_other_devices_refused(four_bit(R"("bnb_4bit_quant_type": "nf4")", 16, 64));
}

}  // namespace
}  // namespace precis
