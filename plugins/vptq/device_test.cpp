#include <gtest/gtest.h>

#include <cstring>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kInt32{PRECIS_TYPE_INT, 32, 1}, kInt16{PRECIS_TYPE_INT, 16, 1};

TEST(VptqOnDevice, Written) {
  DeviceCase on{"vptq", R"({"quant_method": "vptq"})", 48, 64, 0x1p-6, false};
  expect_device_as_cpu(on);
  expect_other_devices_refused(on);
  expect_encoding_refused(on);
}

// Two groups of 60 columns behind 8 outliers, in another order, with a second codebook.
TEST(VptqOnDevice, GroupsOutliersPermuted) {
  constexpr int64_t kRows = 42, kColumns = 128;
  DeviceCase on{"vptq",
                R"({"quant_method": "vptq", "config_for_layers": {"layer": {
                    "vector_lens": [4, 6], "num_centroids": [16, 64], "num_res_centroids": [-1, 8],
                    "group_num": 2, "group_size": 60, "outlier_size": 8, "in_features": 128,
                    "out_features": 42, "enable_norm": true, "enable_perm": true,
                    "is_indice_packed": true}}})",
                kRows,
                kColumns,
                0x1p-6,
                false};
  on.stored = [](precis_dtype dtype) {
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(kInt32, {2, 7, (60 * 9 + 31) / 32}));
    parts.push_back(random_part(dtype, {2, 64 * 6}));
    parts.push_back(random_part(dtype, {2, 8 * 6}));
    for (int i = 0; i < 2; ++i) parts.push_back(random_part(dtype, {kColumns}));
    const auto put = [&](std::vector<int64_t> shape, auto number) {
      parts.push_back(random_part(kInt16, std::move(shape)));
      for (uint64_t i = 0; i < parts.back().abi()->nbytes / 2; ++i) {
        const auto value = static_cast<uint16_t>(number(i));
        std::memcpy(parts.back().data() + 2 * i, &value, 2);
      }
    };
    put({kColumns}, [](uint64_t i) { return (i * 5 + 2) % kColumns; });
    put({1, 11, 8}, [](uint64_t i) { return i * 7 % 16; });
    parts.push_back(random_part(dtype, {1, 16 * 4}));
    return parts;
  };
  expect_device_as_cpu(on);
}

}  // namespace
}  // namespace precis
