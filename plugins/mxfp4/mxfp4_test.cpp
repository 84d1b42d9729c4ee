#include <gtest/gtest.h>

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
