#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

DeviceCase gptq(const std::string& options, int64_t columns = 256) {
  return {"gptq", R"({"quant_method": "gptq", )" + options + "}", 64, columns, 0x1p-6};
}

TEST(GptqOnDevice, EveryWidth) {
  for (const char* bits : {"2", "3", "4", "5", "6", "7", "8"})
    expect_device_as_cpu(
        gptq(std::string(R"("bits": )") + bits + R"(, "checkpoint_format": "gptq_p")"));
  for (const char* bits : {"2", "3", "4", "8"})
    expect_device_as_cpu(gptq(std::string(R"("bits": )") + bits));
}

TEST(GptqOnDevice, GroupsAndZeroPoints) {
  expect_device_as_cpu(gptq(R"("bits": 4, "group_size": 32, "sym": false)"));
  expect_device_as_cpu(gptq(R"("bits": 4, "group_size": -1)"));
  expect_device_as_cpu(gptq(R"("bits": 4, "checkpoint_format": "gptq_v2", "sym": false)", 320));
}

// Parts of a checkpoint whose groups' columns are scattered; the rounding to float16 of weights and
// of y on top of the order of sums.
DeviceCase in_order_of_activation(int64_t bits, const std::string& format, bool same_size = true) {
  constexpr int64_t kRows = 64, kColumns = 320, kGroup = 64, kGroups = kColumns / kGroup;
  DeviceCase on = gptq(R"("desc_act": true, "group_size": 64, "bits": )" + std::to_string(bits) +
                           R"(, "checkpoint_format": ")" + format + R"(")",
                       kColumns);
  on.stored = [=](precis_dtype) {
    const precis_dtype int32{PRECIS_TYPE_INT, 32, 1};
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(int32, {kColumns * bits / 32, kRows}));
    parts.push_back(random_part(int32, {kGroups, kRows * bits / 32}));
    parts.push_back(random_part({PRECIS_TYPE_FLOAT, 16, 1}, {kGroups, kRows}));
    std::vector<int32_t> groups;
    for (int64_t i = 0; i < kColumns; ++i) groups.push_back(static_cast<int32_t>(i * 3 % kGroups));
    if (!same_size) groups[0] = 1;
    const auto* bytes = reinterpret_cast<const uint8_t*>(groups.data());
    parts.push_back(random_part(int32, {kColumns}));
    parts.back().assign({bytes, bytes + groups.size() * sizeof(int32_t)});
    return parts;
  };
  return on;
}

TEST(GptqOnDevice, ColumnsInOrderOfActivation) {
  for (const int64_t bits : {2, 3, 4, 8})
    expect_device_as_cpu(in_order_of_activation(bits, "gptq"));
  for (const int64_t bits : {3, 4, 5, 8})
    expect_device_as_cpu(in_order_of_activation(bits, "gptq_p"));
}

TEST(GptqOnDevice, GroupsOfSeveralSizes) {
  expect_product_refused(in_order_of_activation(4, "gptq", false),
                         "products on a device: all groups of g_idx have group_size columns");
}

TEST(GptqOnDevice, OtherDevices) {
  expect_other_devices_refused(gptq(R"("bits": 4)"));
}

}  // namespace
}  // namespace precis
