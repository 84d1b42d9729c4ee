#include <gtest/gtest.h>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kInt16{PRECIS_TYPE_INT, 16, 1}, kFloat16{PRECIS_TYPE_FLOAT, 16, 1};
constexpr int64_t kRows = 512, kColumns = 128;

// Scales and pairs are of the model's dtype, which pairs are not labelled with.
DeviceCase higgs(int64_t bits, int64_t rotated, precis_dtype dtype) {
  DeviceCase on{"higgs",
                R"({"quant_method": "higgs", "group_size": 64, "hadamard_size": )" +
                    std::to_string(rotated) + R"(, "bits": )" + std::to_string(bits) +
                    R"(, "tune_metadata": {"layer": {"template_id": )" + (bits == 3 ? "4" : "0") +
                    "}}}",
                kRows,
                kColumns,
                0x1p-6,
                false};
  on.devices_multiply = true;
  on.stored = [=](precis_dtype) {
    const int64_t levels = int64_t{1} << bits;
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(kInt16, {kRows * bits / 16, kColumns}));
    parts.push_back(random_part(dtype, {kRows, kColumns / 64}));
    const std::vector<uint8_t> pairs = random_part(dtype, {levels, levels, 2}).bytes();
    parts.push_back(random_part(kFloat16, {levels, levels, 2}));
    parts.back().assign(pairs);
    return parts;
  };
  return on;
}

TEST(HiggsOnDevice, Pairs) {
  for (const int64_t bits : {2, 3, 4}) expect_device_as_cpu(higgs(bits, 128, kFloat16));
  expect_device_as_cpu(higgs(4, 64, {PRECIS_TYPE_BFLOAT, 16, 1}));
}

}  // namespace
}  // namespace precis
