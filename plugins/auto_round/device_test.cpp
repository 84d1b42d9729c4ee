#include <gtest/gtest.h>

#include <cstring>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kInt32{PRECIS_TYPE_INT, 32, 1}, kFloat16{PRECIS_TYPE_FLOAT, 16, 1};
constexpr int64_t kRows = 64, kColumns = 256, kGroup = 64, kGroups = kColumns / kGroup;

DeviceCase packed(const std::string& format, int64_t bits) {
  DeviceCase on{"auto-round",
                R"({"quant_method": "auto-round", "group_size": 64, "bits": )" +
                    std::to_string(bits) + R"(, "packing_format": "auto_round:)" + format + R"("})",
                kRows, kColumns, 0x1p-6};
  on.stored = [=](precis_dtype) {
    std::vector<OwnedTensor> parts;
    if (format == "auto_awq") {
      parts.push_back(random_part(kInt32, {kColumns, kRows / 8}));
      parts.push_back(random_part(kInt32, {kGroups, kRows / 8}));
    } else {
      parts.push_back(random_part(kInt32, {kColumns / 32 * bits, kRows}));
      parts.push_back(random_part(kInt32, {kGroups, kRows / 32 * bits}));
    }
    parts.push_back(random_part(kFloat16, {kGroups, kRows}));
    if (format == "auto_awq") return parts;
    std::vector<uint8_t> groups(kColumns * 4);
    for (int32_t i = 0; i < kColumns; ++i) {
      const int32_t group = i / static_cast<int32_t>(kGroup);
      std::memcpy(&groups[static_cast<size_t>(i) * 4], &group, 4);
    }
    parts.push_back(random_part(kInt32, {kColumns}));
    parts.back().assign(groups);
    return parts;
  };
  return on;
}

TEST(AutoRoundOnDevice, Packings) {
  expect_device_as_cpu(packed("auto_awq", 4));
  for (const int64_t bits : {2, 3, 4, 8}) {
    expect_device_as_cpu(packed("auto_gptq", bits));
    expect_device_as_cpu(packed("gptqmodel", bits));
  }
}

}  // namespace
}  // namespace precis
