#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kUInt8{PRECIS_TYPE_UINT, 8, 1};
constexpr int64_t kRows = 40, kColumns = 256;

DeviceCase fp_quant(const std::string& dtype, int64_t rotated, bool floats) {
  DeviceCase on{"fp_quant",
                R"({"quant_method": "fp_quant", "forward_dtype": ")" + dtype +
                    R"(", "hadamard_group_size": )" + std::to_string(rotated) +
                    R"(, "pseudoquantization": )" + (floats ? "true}" : "false}"),
                kRows,
                kColumns,
                0x1p-6,
                false};
  on.devices_multiply = true;
  on.multiplies = !floats;
  on.stored = [=](precis_dtype of_model) {
    std::vector<OwnedTensor> parts;
    parts.push_back(floats ? random_part(of_model, {kRows, kColumns})
                           : random_part(kUInt8, {kRows, kColumns / 2}));
    parts.push_back(random_part(of_model, {rotated, rotated}));
    if (floats) return parts;
    const bool nvfp4 = dtype == "nvfp4";
    parts.push_back(random_part(kUInt8, {kRows, kColumns / (nvfp4 ? 16 : 32)}));
    for (uint64_t i = 0; i < parts[2].abi()->nbytes; ++i) {
      uint8_t& scale = parts[2].data()[i];
      scale = static_cast<uint8_t>(nvfp4 ? 32 + scale % 64 : 118 + scale % 8);
    }
    parts.push_back(random_part(of_model, {1}));
    return parts;
  };
  return on;
}

TEST(FpQuantOnDevice, Floats4) {
  expect_device_as_cpu(fp_quant("nvfp4", 16, false));
  expect_device_as_cpu(fp_quant("nvfp4", 128, false));
  expect_device_as_cpu(fp_quant("mxfp4", 32, false));
}

TEST(FpQuantOnDevice, Numbers) {
  expect_device_as_cpu(fp_quant("mxfp4", 64, true));
}

}  // namespace
}  // namespace precis
