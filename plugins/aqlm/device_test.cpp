#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase aqlm(const std::string& options) {
  return {"aqlm", R"({"quant_method": "aqlm", )" + options + "}", 24, 128, 0x1p-6, false};
}

TEST(AqlmOnDevice, Codebooks) {
  expect_device_as_cpu(aqlm(R"("num_codebooks": 2, "nbits_per_codebook": 8)"));
  expect_device_as_cpu(aqlm(R"("num_codebooks": 1, "nbits_per_codebook": 8, "in_group_size": 16)"));
}

TEST(AqlmOnDevice, Refused) {
  const DeviceCase two = aqlm(R"("num_codebooks": 2, "nbits_per_codebook": 8)");
  expect_other_devices_refused(two);
  expect_encoding_refused(two);
}

}  // namespace
}  // namespace precis
