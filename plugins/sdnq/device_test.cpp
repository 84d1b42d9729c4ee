#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kUInt8{PRECIS_TYPE_UINT, 8, 1}, kInt8{PRECIS_TYPE_INT, 8, 1},
    kInt64{PRECIS_TYPE_INT, 64, 1}, kFloat32{PRECIS_TYPE_FLOAT, 32, 1};
constexpr int64_t kRows = 40, kColumns = 256;

struct Form {
  std::string dtype, options;
  int64_t bits, groups, levels = 1, rank = 0;
  bool zeros = false;
};

DeviceCase sdnq(const Form& form) {
  DeviceCase on{
      "sdnq",
      R"({"quant_method": "sdnq", "weights_dtype": ")" + form.dtype + R"(")" + form.options + "}",
      kRows,
      kColumns,
      0x1p-6,
      false};
  on.devices_multiply = true;
  on.stored = [=](precis_dtype dtype) {
    std::vector<OwnedTensor> parts;
    const int64_t bytes = kRows * kColumns * form.bits / 8;
    parts.push_back(form.bits == 1 ? random_part(kInt64, {bytes})
                                   : random_part(form.dtype == "int8" ? kInt8 : kUInt8, {bytes}));
    parts.push_back(random_part(kFloat32, {kRows, form.groups * form.levels}));
    if (form.zeros) parts.push_back(random_part(kFloat32, {kRows, form.groups}));
    if (form.rank == 0) return parts;
    parts.push_back(random_part(dtype, {kRows, form.rank}));
    parts.push_back(random_part(dtype, {form.rank, kColumns}));
    return parts;
  };
  return on;
}

TEST(SdnqOnDevice, Numbers) {
  expect_device_as_cpu(sdnq({"int8", "", 8, 1}));
  expect_device_as_cpu(sdnq({"uint4", R"(, "group_size": 32)", 4, 8, 1, 0, true}));
  expect_device_as_cpu(sdnq({"int5", R"(, "group_size": 64)", 5, 4}));
  expect_device_as_cpu(sdnq({"uint1", R"(, "group_size": 64)", 1, 4, 1, 0, true}));
  expect_device_as_cpu(sdnq({"float6_e3m2fn", R"(, "group_size": 64)", 6, 4}));
  expect_device_as_cpu(sdnq({"uint3", R"(, "use_codebook": true)", 3, 1, 8}));
}

TEST(SdnqOnDevice, LowRankAndRotated) {
  expect_device_as_cpu(sdnq({"int7", R"(, "use_svd": true, "svd_rank": 8)", 7, 1, 1, 8}));
  for (const char* size : {"128", "256"})
    expect_device_as_cpu(sdnq(
        {"int8", R"(, "use_hadamard": true, "hadamard_group_size": )" + std::string(size), 8, 1}));
  expect_device_as_cpu(
      sdnq({"int8", R"(, "use_hadamard": true, "use_svd": true, "svd_rank": 8)", 8, 1, 1, 8}));
}

}  // namespace
}  // namespace precis
