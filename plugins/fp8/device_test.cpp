#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase tiles(const std::string& options, int64_t rows, int64_t columns) {
  return {"fp8", R"({"quant_method": "fp8", )" + options + "}", rows, columns, 0x1p-6};
}

// Activations are rounded to float8 too, by the rule of the CPU.
TEST(Fp8OnDevice, Tiles) {
  expect_device_as_cpu(tiles(R"("weight_block_size": [128, 128])", 128, 256));
  expect_device_as_cpu(tiles(R"("weight_block_size": [32, 64])", 32, 192));
}

TEST(Fp8OnDevice, ExponentScales) {
  expect_device_as_cpu(tiles(R"("weight_block_size": [128, 128], "scale_fmt": "ue8m0")", 128, 256));
  expect_device_as_cpu(tiles(R"("weight_block_size": null, "scale_fmt": "ue8m0")", 24, 200));
}

TEST(Fp8OnDevice, OneScale) {
  expect_device_as_cpu(tiles(R"("weight_block_size": null)", 24, 200));
}

TEST(Fp8OnDevice, Rows) {
  expect_device_as_cpu({"fbgemm_fp8", R"({"quant_method": "fbgemm_fp8"})", 24, 200, 0x1p-6});
}

TEST(Fp8OnDevice, OtherDevices) {
  expect_other_devices_refused(tiles(R"("weight_block_size": null)", 16, 64));
}

}  // namespace
}  // namespace precis
