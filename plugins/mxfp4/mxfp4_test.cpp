#include <gtest/gtest.h>

#include <cmath>

#include "core/format/container.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

// One expert of the recorded weight [out_features, in_features], as the model has it: transposed.
struct Expert {
  std::shared_ptr<const Container> file;
  Param param;
  std::shared_ptr<const Quantizer> quantizer;

  explicit Expert(const char* name) {
    const fs::path path = fs::path(PRECIS_SOURCE_DIR) / "tests/oracle/golden/mxfp4" / name;
    file = *Container::open(path);
    const std::vector<int64_t>& shape = file->find("input.weight")->shape;
    param.name = "layers.0.mlp.experts.gate_up_proj";
    param.module_kind = "Experts";
    param.dtype = DType::bf16;
    param.shape = {1, shape[1], shape[0]};
    quantizer = *test_resolver(false).from_spec(R"({"quant_method": "mxfp4"})", "");
  }
  Bytes data(const char* name) const { return *file->data(*file->find(name)); }
  std::size_t in_features() const { return static_cast<std::size_t>(param.shape[1]); }
  std::size_t out_features() const { return static_cast<std::size_t>(param.shape[2]); }
};

class RecordedExpert : public testing::TestWithParam<const char*> {};

TEST_P(RecordedExpert, IsDecodedAsTransformersDoes) {
  const Expert expert(GetParam());
  const auto plan = *expert.quantizer->plan(expert.param);
  ASSERT_EQ(plan.parts.size(), 2u);
  const std::vector<Bytes> parts{expert.data("expected.blocks"), expert.data("expected.scales")};
  for (std::size_t i = 0; i < 2; ++i) ASSERT_EQ(plan.parts[i].nbytes, parts[i].size());
  std::vector<std::byte> out(expert.param.elements() * 2);
  const Status status =
      expert.quantizer->dequantize(expert.param, plan.parts, parts, 0, 1, DType::bf16, out);
  ASSERT_TRUE(status.ok()) << status.error().text();
  const std::vector<float> got = as_floats(DType::bf16, out);
  const std::vector<float> want = as_floats(DType::bf16, expert.data("dequantized.weight"));
  for (std::size_t n = 0; n < expert.out_features(); ++n)
    for (std::size_t k = 0; k < expert.in_features(); ++k)
      ASSERT_EQ(got[k * expert.out_features() + n], want[n * expert.in_features() + k])
          << n << ", " << k;
}

TEST_P(RecordedExpert, RefusesPartsSmallerThanTheShapeNeeds) {
  const Expert expert(GetParam());
  auto specs = expert.quantizer->plan(expert.param)->parts;
  specs[0].shape[2] -= 1;
  specs[0].nbytes -= expert.out_features() * 16;
  const std::vector<std::byte> blocks(specs[0].nbytes), scales(specs[1].nbytes);
  const std::vector<Bytes> parts{blocks, scales};
  std::vector<std::byte> out(expert.param.elements() * 2);
  const Status status =
      expert.quantizer->dequantize(expert.param, specs, parts, 0, 1, DType::bf16, out);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::data_loss);
}

// The slice of one of several experts, as a host that routes rows to them gives it.
StoredWeight one_expert(std::size_t expert, int64_t in_features, int64_t out_features) {
  constexpr int64_t kExperts = 3;
  StoredWeight weight;
  weight.quantizer = *test_resolver(false).from_spec(R"({"quant_method": "mxfp4"})", "");
  weight.param.name = "layers.0.mlp.experts.down_proj";
  weight.param.module_kind = "Experts";
  weight.param.dtype = DType::bf16;
  weight.param.shape = {kExperts, in_features, out_features};
  const auto source = stored_numbers(DType::bf16, normal_numbers(weight.param.elements(), 3, 0.1f));
  const auto plan = *weight.quantizer->plan(weight.param);
  std::vector<std::vector<std::byte>> all;
  for (const PartSpec& spec : plan.parts) all.emplace_back(spec.nbytes);
  std::vector<std::span<std::byte>> parts(all.begin(), all.end());
  EXPECT_TRUE(
      weight.quantizer->quantize(weight.param, source, plan.parts, parts, {}, nullptr).ok());
  weight.param.shape[0] = 1;
  weight.specs = plan.parts;
  for (std::size_t i = 0; i < all.size(); ++i) {
    PartSpec& spec = weight.specs[i];
    spec.shape[0] = 1;
    spec.nbytes /= kExperts;
    const std::byte* from = all[i].data() + expert * spec.nbytes;
    weight.memory.emplace_back(from, from + spec.nbytes);
  }
  return weight;
}

TEST(ProductOfAnExpert, IsTheSumOverItsDecodedWeight) {
  constexpr std::size_t kIn = 96, kOut = 40;
  for (const std::size_t expert : {0, 2}) {
    const StoredWeight weight = one_expert(expert, kIn, kOut);
    const std::vector<float> decoded = weight.decoded();  // [in_features, out_features]
    for (const DType activation : {DType::f32, DType::bf16}) {
      for (const std::size_t batch : {1, 3, 32}) {
        Rows x(activation, batch, kIn, normal_numbers(batch * kIn, 5, 1.0f)),
            y(activation, batch, kOut);
        ASSERT_TRUE(Product(weight, activation, 32).forward(x, nullptr, y).ok());
        for (std::size_t i = 0; i < batch; ++i) {
          const std::vector<float> in = x.row(i), got = y.row(i);
          for (std::size_t n = 0; n < kOut; ++n) {
            double sum = 0, magnitude = 0;
            for (std::size_t k = 0; k < kIn; ++k) {
              sum += double{in[k]} * decoded[k * kOut + n];
              magnitude += std::abs(double{in[k]} * decoded[k * kOut + n]);
            }
            ASSERT_NEAR(got[n], sum,
                        kIn * 0x1p-24 * magnitude + unit_roundoff(activation) * std::abs(sum));
          }
        }
      }
    }
  }
}

TEST(ProductOfAnExpert, IsRefusedForSeveralAtOnce) {
  const StoredWeight weight = one_expert(0, 32, 8);
  Param several = weight.param;
  several.shape[0] = 3;
  const auto plan = Linear::plan(*weight.quantizer, {}, several);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text().find("one expert"), std::string::npos) << plan.error().text();
}

INSTANTIATE_TEST_SUITE_P(Oracle, RecordedExpert,
                         testing::Values("gptoss-24x128-bf16-gauss.safetensors",
                                         "gptoss-24x128-bf16-edge.safetensors"),
                         [](const auto& info) { return info.index == 0 ? "gauss" : "edge"; });

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{.plugin = "mxfp4", .golden = {}, .least_configs = 15};
  return method;
}

}  // namespace precis
