#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kInt8{PRECIS_TYPE_INT, 8, 1}, kInt32{PRECIS_TYPE_INT, 32, 1},
    kFloat8{PRECIS_TYPE_FLOAT8_E4M3FN, 8, 1};
constexpr int64_t kRows = 128, kColumns = 256;

DeviceCase case_of(const std::string& section, double tolerance,
                   std::function<std::vector<OwnedTensor>(precis_dtype)> stored) {
  DeviceCase on{"nunchaku_lite", R"({"quant_method": "nunchaku_lite", )" + section + "}",
                kRows,           kColumns,
                tolerance,       false};
  on.stored = std::move(stored);
  on.devices_multiply = true;
  return on;
}

DeviceCase svdq(bool nvfp4, int64_t rank) {
  const std::string section = R"("svdq_w4a4": {"precision": ")" +
                              std::string(nvfp4 ? "nvfp4" : "int4") + R"(", "group_size": )" +
                              (nvfp4 ? "16" : "64") + R"(, "rank": )" + std::to_string(rank) +
                              R"(, "targets": ["layer"]})";
  // x / smooth and x down are rounded to x's dtype.
  return case_of(section, 0x1p-6, [=](precis_dtype dtype) {
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(kInt8, {kRows, kColumns / 2}));
    parts.push_back(nvfp4 ? random_part(kFloat8, {kColumns / 16, kRows})
                          : random_part(dtype, {kColumns / 64, kRows}));
    parts.push_back(random_part(dtype, {kColumns}));
    parts.push_back(random_part(dtype, {kColumns, rank}));
    parts.push_back(random_part(dtype, {kRows, rank}));
    if (!nvfp4) return parts;
    for (uint64_t i = 0; i < parts[1].abi()->nbytes; ++i)  // no NaN
      if ((parts[1].data()[i] & 0x7f) == 0x7f) parts[1].data()[i] ^= 1;
    parts.push_back(random_part(dtype, {kRows}));
    parts.push_back(random_part(dtype, {1}));
    return parts;
  });
}

DeviceCase awq(int64_t group) {
  const std::string section = R"("awq_w4a16": {"precision": "int4", "group_size": )" +
                              std::to_string(group) + R"(, "targets": ["layer"]})";
  return case_of(section, 0x1p-7, [=](precis_dtype dtype) {
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(kInt32, {kRows / 4, kColumns / 2}));
    for (int i = 0; i < 2; ++i) parts.push_back(random_part(dtype, {kColumns / group, kRows}));
    return parts;
  });
}

TEST(NunchakuOnDevice, Svdq) {
  expect_device_as_cpu(svdq(false, 32));
  expect_device_as_cpu(svdq(false, 0));
  expect_device_as_cpu(svdq(true, 16));
}

TEST(NunchakuOnDevice, Awq) {
  expect_device_as_cpu(awq(64));
  expect_device_as_cpu(awq(8));
}

}  // namespace
}  // namespace precis
