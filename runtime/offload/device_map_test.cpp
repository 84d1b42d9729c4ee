#include "runtime/offload/device_map.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

using nlohmann::json;

DeviceMap parsed(const json& map) {
  auto result = DeviceMap::parse(map);
  if (!result.ok()) throw std::runtime_error(result.error().text());
  return *std::move(result);
}

TEST(DeviceMap, IsNullOneDeviceOrAnObject) {
  EXPECT_FALSE(*parsed(nullptr).on_disk("a.weight"));
  EXPECT_FALSE(*parsed("cpu").on_disk("a.weight"));
  EXPECT_TRUE(*parsed("disk").on_disk("a.weight"));
  EXPECT_TRUE(parsed("auto").automatic());
}

TEST(DeviceMap, TheLongestPathCounts) {
  const DeviceMap map =
      parsed({{"", "cpu"}, {"blocks", "disk"}, {"blocks.1", "cpu"}, {"blocks.1.norm", "disk"}});
  EXPECT_FALSE(*map.on_disk("head.weight"));
  EXPECT_TRUE(*map.on_disk("blocks.0.fc.weight"));
  EXPECT_FALSE(*map.on_disk("blocks.1.fc.weight"));
  EXPECT_TRUE(*map.on_disk("blocks.1.norm.weight"));
  EXPECT_TRUE(*map.on_disk("blocks.10.fc.weight"));
}

TEST(DeviceMap, NamesDevicesThatAreNotThere) {
  for (const json& map : {json("cuda:99"), json({{"fc", 99}}), json({{"fc", "mps"}})}) {
    const auto result = DeviceMap::parse(map);
    ASSERT_FALSE(result.ok()) << map;
    EXPECT_EQ(result.error().code(), ErrorCode::device_error);
  }
  EXPECT_EQ(DeviceMap::parse(json({{"fc", true}})).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(DeviceMap::parse(7.5).error().code(), ErrorCode::invalid_argument);
}

TEST(DeviceMap, DistributesLayersInTheirOrder) {
  const std::vector<std::pair<std::string, uint64_t>> sizes = {
      {"a.weight", 90}, {"a.bias", 10}, {"b.weight", 100}, {"c.weight", 50}};
  DeviceMap map = parsed("auto");
  ASSERT_TRUE(map.distribute(sizes, 250).ok());
  EXPECT_FALSE(*map.on_disk("c.weight"));
  ASSERT_TRUE(map.distribute(sizes, 200).ok());
  EXPECT_FALSE(*map.on_disk("a.bias"));
  EXPECT_TRUE(*map.on_disk("b.weight"));
  EXPECT_TRUE(*map.on_disk("c.weight"));
  ASSERT_TRUE(map.distribute(sizes, 100).ok());
  EXPECT_TRUE(*map.on_disk("a.weight"));
  EXPECT_EQ(map.distribute(sizes, 99).error().code(), ErrorCode::out_of_memory);
  ASSERT_TRUE(map.distribute(sizes, std::nullopt).ok());
  EXPECT_FALSE(*map.on_disk("b.weight"));
}

}  // namespace
}  // namespace precis
