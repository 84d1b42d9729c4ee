#include "pipelines/offload.h"

#include <gtest/gtest.h>

namespace precis::pipelines {
namespace {

using Places = std::map<std::string, Offload>;

Places offloads(const Placement& placement) {
  Places places;
  for (const auto& [name, place] : placement.components) places[name] = place.offload;
  return places;
}

constexpr Offload kNone = Offload::none, kModel = Offload::model, kLayers = Offload::sequential;

const std::vector<ComponentBytes> kComponents = {
    {"text_encoder", 100, 10, 1}, {"transformer", 200, 20, 2}, {"vae", 30, 5, 3}};

Placement placed(const nlohmann::json& map, Offload offload, uint64_t max_memory = 0,
                 uint64_t working_set = 0) {
  auto result = place_components(kComponents, {map, at::kCPU, offload, max_memory, working_set});
  if (!result.ok()) throw std::runtime_error(result.error().text());
  return *std::move(result);
}

ErrorCode refused(const nlohmann::json& map, Offload offload, uint64_t max_memory = 0) {
  const auto result = place_components(kComponents, {map, at::kCPU, offload, max_memory});
  return result.ok() ? ErrorCode::internal : result.error().code();
}

TEST(PlaceComponents, InMemoryUnlessAskedOtherwise) {
  EXPECT_EQ(placed(nullptr, kNone).peak_bytes, 330u);
  EXPECT_EQ(placed("cpu", kNone).peak_bytes, 330u);
  EXPECT_EQ(placed("auto", kNone).peak_bytes, 330u);
}

TEST(PlaceComponents, ThoseOnTheDiskTakeTurns) {
  EXPECT_EQ(placed(nullptr, kModel).peak_bytes, 200u);
  EXPECT_EQ(placed(nullptr, kLayers).peak_bytes, 20u);
  const Placement mixed = placed({{"text_encoder", "disk"}, {"", "cpu"}}, kNone);
  EXPECT_EQ(offloads(mixed),
            (Places{{"text_encoder", kModel}, {"transformer", kNone}, {"vae", kNone}}));
  EXPECT_EQ(mixed.peak_bytes, 330u);
}

TEST(PlaceComponents, AutoLeavesAsFewOnTheDiskAsDo) {
  EXPECT_EQ(placed("auto", kNone, 330).peak_bytes, 330u);
  // Alone on the disk, the transformer would have to come in beside the others all the same.
  EXPECT_EQ(offloads(placed("auto", kNone, 230)),
            (Places{{"text_encoder", kModel}, {"transformer", kModel}, {"vae", kNone}}));
  EXPECT_EQ(placed("balanced", kNone, 200).peak_bytes, 200u);
  EXPECT_EQ(offloads(placed("auto", kNone, 150)),
            (Places{{"text_encoder", kNone}, {"transformer", kLayers}, {"vae", kNone}}));
  EXPECT_EQ(placed("auto", kModel, 200, 0).peak_bytes, 200u);
  EXPECT_EQ(placed("auto", kNone, 250, 50).peak_bytes, 200u);
}

// No device is used to choose places, so that one which is not there serves as well.
TEST(PlaceComponents, BesideADeviceTheyWaitInMemory) {
  const at::Device cuda(at::kCUDA, 0);
  const auto all = place_components(kComponents, {nullptr, cuda, kModel});
  ASSERT_TRUE(all.ok());
  for (const auto& [name, place] : all->components)
    EXPECT_EQ(place, (ComponentPlace{cuda, WeightPlace::memory, kModel})) << name;
  EXPECT_EQ(all->peak_bytes, 200u);
  // Between the layers' turns what is in none stays on the device: 1 + 2 + 3, and 18 of 20.
  EXPECT_EQ(place_components(kComponents, {nullptr, cuda, kLayers})->peak_bytes, 24u);
  const auto some = place_components(kComponents, {"auto", cuda, kNone, 230});
  EXPECT_EQ(offloads(*some),
            (Places{{"text_encoder", kModel}, {"transformer", kModel}, {"vae", kNone}}));
  EXPECT_EQ(some->components.at("vae").device, cuda);
}

TEST(PlaceComponents, WhatWorksOnTheCpuTakesNothingOfADevice) {
  const at::Device cuda(at::kCUDA, 0);
  const auto mixed =
      place_components(kComponents, {{{"transformer", "disk"}, {"", "cpu"}}, cuda, kNone, 200});
  ASSERT_TRUE(mixed.ok()) << mixed.error().text();
  EXPECT_EQ(mixed->components.at("transformer"), (ComponentPlace{cuda, WeightPlace::disk, kModel}));
  EXPECT_EQ(mixed->components.at("text_encoder"), ComponentPlace{});
  EXPECT_EQ(mixed->peak_bytes, 200u);
}

TEST(PlaceComponents, RefusesWhatDoesNotFit) {
  EXPECT_EQ(refused(nullptr, kNone, 329), ErrorCode::out_of_memory);
  EXPECT_EQ(refused(nullptr, kModel, 199), ErrorCode::out_of_memory);
  EXPECT_EQ(refused("auto", kModel, 199), ErrorCode::out_of_memory);
  EXPECT_EQ(refused("auto", kNone, 19), ErrorCode::out_of_memory);
}

TEST(PlaceComponents, RefusesWhatIsNotThere) {
  EXPECT_EQ(refused("cuda", kNone), ErrorCode::device_error);
  EXPECT_EQ(refused({{"unet", "disk"}, {"", "cpu"}}, kNone), ErrorCode::invalid_argument);
  EXPECT_EQ(refused({{"vae", "disk"}}, kNone), ErrorCode::invalid_argument);
}

TEST(PlaceComponents, ReadyNetworksStay) {
  auto components = kComponents;
  components[1].stays = "it was given ready";
  const auto result = place_components(components, {nullptr, at::kCPU, kModel});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->components.at("transformer"), ComponentPlace{});
  EXPECT_EQ(result->peak_bytes, 300u);
  const nlohmann::json named{{"transformer", "disk"}, {"", "cpu"}};
  const auto refused = place_components(components, {named});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().text(),
            "component 'transformer' cannot wait on the disk: it was given ready");
}

}  // namespace
}  // namespace precis::pipelines
