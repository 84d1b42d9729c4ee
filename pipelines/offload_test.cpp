#include "pipelines/offload.h"

#include <gtest/gtest.h>

namespace precis::pipelines {
namespace {

using Places = std::map<std::string, Offload>;
constexpr Offload kNone = Offload::none, kModel = Offload::model, kLayers = Offload::sequential;

const std::vector<ComponentBytes> kComponents = {
    {"text_encoder", 100, 10}, {"transformer", 200, 20}, {"vae", 30, 5}};

Placement placed(const nlohmann::json& map, Offload offload, uint64_t max_memory = 0,
                 uint64_t working_set = 0) {
  auto result = place_components(kComponents, map, offload, max_memory, working_set);
  if (!result.ok()) throw std::runtime_error(result.error().text());
  return *std::move(result);
}

ErrorCode refused(const nlohmann::json& map, Offload offload, uint64_t max_memory = 0) {
  const auto result = place_components(kComponents, map, offload, max_memory, 0);
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
  EXPECT_EQ(mixed.components,
            (Places{{"text_encoder", kModel}, {"transformer", kNone}, {"vae", kNone}}));
  EXPECT_EQ(mixed.peak_bytes, 330u);
}

TEST(PlaceComponents, AutoLeavesAsFewOnTheDiskAsDo) {
  EXPECT_EQ(placed("auto", kNone, 330).peak_bytes, 330u);
  // Alone on the disk, the transformer would have to come in beside the others all the same.
  EXPECT_EQ(placed("auto", kNone, 230).components,
            (Places{{"text_encoder", kModel}, {"transformer", kModel}, {"vae", kNone}}));
  EXPECT_EQ(placed("balanced", kNone, 200).peak_bytes, 200u);
  EXPECT_EQ(placed("auto", kNone, 150).components,
            (Places{{"text_encoder", kNone}, {"transformer", kLayers}, {"vae", kNone}}));
  EXPECT_EQ(placed("auto", kModel, 200, 0).peak_bytes, 200u);
  EXPECT_EQ(placed("auto", kNone, 250, 50).peak_bytes, 200u);
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
  const auto result = place_components(components, nullptr, kModel, 0, 0);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->components.at("transformer"), kNone);
  EXPECT_EQ(result->peak_bytes, 300u);
  const nlohmann::json named{{"transformer", "disk"}, {"", "cpu"}};
  const auto refused = place_components(components, named, kNone, 0, 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().text(),
            "component 'transformer' cannot wait on the disk: it was given ready");
}

}  // namespace
}  // namespace precis::pipelines
