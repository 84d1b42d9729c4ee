#include <gtest/gtest.h>

#include <cstring>

#include "tests/device/plugin_on_device.h"

namespace precis {
namespace {

constexpr precis_dtype kInt64{PRECIS_TYPE_INT, 64, 1}, kInt32{PRECIS_TYPE_INT, 32, 1};
constexpr int64_t kRows = 48, kColumns = 72;

template <typename Number>
OwnedTensor part_of(precis_dtype dtype, const std::vector<Number>& numbers) {
  std::vector<uint8_t> bytes(numbers.size() * sizeof(Number));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  OwnedTensor part = random_part(dtype, {static_cast<int64_t>(bytes.size() * 8 / dtype.bits)});
  part.assign(bytes);
  return part;
}

DeviceCase spqr(bool in_turn, bool permuted) {
  DeviceCase on{"spqr", R"({"quant_method": "spqr"})", kRows, kColumns, 0, false};
  on.multiplies = false;
  on.stored = [=](precis_dtype) {
    std::vector<OwnedTensor> parts;
    parts.push_back(random_part(kInt64, {kRows * ((kColumns + 15) / 16)}));
    std::vector<int32_t> offsets{0};
    std::vector<uint32_t> outliers;
    for (int64_t i = 0; i < (in_turn ? kRows / 16 : kRows); ++i) {
      for (int64_t j = 0; j < (in_turn ? 32 : i % 4); ++j)
        outliers.push_back(static_cast<uint32_t>(0x3c00'0000 + (i * 7 + j * 5) % kColumns));
      offsets.push_back(static_cast<int32_t>(outliers.size()));
    }
    parts.push_back(part_of(kInt32, offsets));
    parts.push_back(part_of(kInt32, outliers));
    if (!permuted) return parts;
    std::vector<uint16_t> order;
    for (int64_t i = 0; i < kColumns; ++i)
      order.push_back(static_cast<uint16_t>((i * 5 + 2) % kColumns));
    parts.push_back(part_of(kInt32, order));
    return parts;
  };
  return on;
}

TEST(SpqrOnDevice, Decodes) {
  expect_device_as_cpu(spqr(false, false));
  expect_device_as_cpu(spqr(true, false));
  expect_device_as_cpu(spqr(false, true));
}

}  // namespace
}  // namespace precis
