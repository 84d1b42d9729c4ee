#include "runtime/offload/device_map.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

using nlohmann::json;

constexpr auto kDevice = WeightPlace::device, kDisk = WeightPlace::disk;

DeviceMap parsed(const json& map) {
  auto result = DeviceMap::parse(map);
  if (!result.ok()) throw std::runtime_error(result.error().text());
  return *std::move(result);
}

TEST(DeviceMap, IsNullOneDeviceOrAnObject) {
  EXPECT_EQ(*parsed(nullptr).place_of("a.weight"), kDevice);
  EXPECT_EQ(*parsed("cpu").place_of("a.weight"), kDevice);
  EXPECT_EQ(*parsed("disk").place_of("a.weight"), kDisk);
  EXPECT_TRUE(parsed("auto").automatic());
}

TEST(DeviceMap, TheLongestPathCounts) {
  const DeviceMap map =
      parsed({{"", "cpu"}, {"blocks", "disk"}, {"blocks.1", "cpu"}, {"blocks.1.norm", "disk"}});
  EXPECT_EQ(*map.place_of("head.weight"), kDevice);
  EXPECT_EQ(*map.place_of("blocks.0.fc.weight"), kDisk);
  EXPECT_EQ(*map.place_of("blocks.1.fc.weight"), kDevice);
  EXPECT_EQ(*map.place_of("blocks.1.norm.weight"), kDisk);
  EXPECT_EQ(*map.place_of("blocks.10.fc.weight"), kDisk);
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
  ASSERT_TRUE(map.distribute(sizes, {.device = 250}).ok());
  EXPECT_EQ(*map.place_of("c.weight"), kDevice);
  ASSERT_TRUE(map.distribute(sizes, {.device = 200}).ok());
  EXPECT_EQ(*map.place_of("a.bias"), kDevice);
  EXPECT_EQ(*map.place_of("b.weight"), kDisk);
  EXPECT_EQ(*map.place_of("c.weight"), kDisk);
  ASSERT_TRUE(map.distribute(sizes, {.device = 100}).ok());
  EXPECT_EQ(*map.place_of("a.weight"), kDisk);
  EXPECT_EQ(map.distribute(sizes, {.device = 99}).error().code(), ErrorCode::out_of_memory);
  ASSERT_TRUE(map.distribute(sizes, {}).ok());
  EXPECT_EQ(*map.place_of("b.weight"), kDevice);
}

}  // namespace
}  // namespace precis
