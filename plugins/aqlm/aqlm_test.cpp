#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

std::vector<ProductCase> products() {
  return {{"aqlm:num_codebooks=2,nbits_per_codebook=4", {{1, 8}, {33, 320}, {100, 1312}}},
          {"aqlm:num_codebooks=1,nbits_per_codebook=8,in_group_size=16", {{1, 16}, {33, 320}}},
          {"aqlm:num_codebooks=3,nbits_per_codebook=5,in_group_size=5,out_group_size=3",
           {{3, 10}, {33, 320}}},
          {"aqlm:num_codebooks=1,nbits_per_codebook=10", {{5, 32}, {33, 320}}}};
}

// The value that the format's description works out by hand: codes wrap at 2^bits.
TEST(AqlmFormat, SumsTheCodewordsOfWrappedCodes) {
  StoredWeight weight;
  weight.quantizer = *test_resolver(false).from_spec(
      "aqlm:num_codebooks=2,nbits_per_codebook=8,in_group_size=2", "");
  weight.param.name = "layer.weight";
  weight.param.module_kind = "Linear";
  weight.param.shape = {1, 2};
  const auto plan = weight.quantizer->plan(weight.param);
  ASSERT_TRUE(plan.ok()) << plan.error().text();
  weight.specs = plan->parts;
  for (const PartSpec& part : plan->parts) weight.memory.emplace_back(part.nbytes);
  const int8_t codes[] = {-1, -128};
  const float first[] = {1, 2}, second[] = {0.5f, -1}, scale = 2;
  std::memcpy(weight.memory[0].data(), codes, sizeof codes);
  std::memcpy(weight.memory[1].data() + 255 * sizeof first, first, sizeof first);
  std::memcpy(weight.memory[1].data() + (256 + 128) * sizeof second, second, sizeof second);
  std::memcpy(weight.memory[2].data(), &scale, sizeof scale);
  EXPECT_EQ(weight.decoded(), (std::vector<float>{3, 2}));
}

// A forward pass of the library on a CPU leaves codes of 8 bits so.
TEST(AqlmFormat, ReadsCodesWithTheirDimensionsExchanged) {
  StoredWeight weight = quantized_weight("aqlm:num_codebooks=2,nbits_per_codebook=8", 8, 64 * 8);
  const std::vector<float> want = weight.decoded();
  const std::vector<std::byte> codes = weight.memory[0];
  for (std::size_t out = 0; out < 8; ++out) {
    for (std::size_t in = 0; in < 64; ++in)
      std::memcpy(weight.memory[0].data() + (in * 8 + out) * 2, codes.data() + (out * 64 + in) * 2,
                  2);
  }
  weight.specs[0].shape = {64, 8, 2};
  EXPECT_EQ(weight.decoded(), want);
}

double relative_error(const StoredWeight& weight) {
  const std::vector<float> values = normal_numbers(weight.param.elements(), 7, 0.05f);
  const std::vector<float> decoded = weight.decoded();
  double error = 0, whole = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(static_cast<double>(values[i]) - decoded[i], 2);
    whole += std::pow(static_cast<double>(values[i]), 2);
  }
  return error / whole;
}

// Of independent normal numbers the best code of b bits each is off by 2^-2b; scalar rounding with
// a scale a row has 0.12 at 2 bits.
TEST(AqlmFit, IsNearWhatItsBitsAllow) {
  const double one =
      relative_error(quantized_weight("aqlm:num_codebooks=1,nbits_per_codebook=8", 64, 512));
  const double two =
      relative_error(quantized_weight("aqlm:num_codebooks=2,nbits_per_codebook=8", 64, 512));
  EXPECT_LT(one, 0.30);
  EXPECT_LT(two, 0.10);
}

// As many codewords as blocks.
TEST(AqlmFit, IsExactWhereEveryBlockHasItsCodeword) {
  EXPECT_LT(relative_error(quantized_weight("aqlm:num_codebooks=1,nbits_per_codebook=8", 16, 128)),
            1e-12);
}

TEST(AqlmStored, PartsThatContradictTheConfigAreRefused) {
  const auto quantizer =
      *test_resolver(false).from_spec("aqlm:num_codebooks=2,nbits_per_codebook=8", "");
  const auto found = [&](std::vector<int64_t> books, std::vector<int64_t> codes) {
    std::vector<TensorEntry> tensors(3);
    tensors[0] = {"layer.codebooks", DType::f16, "", std::move(books), 0, 0};
    tensors[1] = {"layer.codes", DType::i8, "", std::move(codes), 0, 0};
    tensors[2] = {"layer.scales", DType::f16, "", {4, 1, 1, 1}, 0, 0};
    StateDict state;
    for (const TensorEntry& tensor : tensors) state.tensors.push_back(&tensor);
    return quantizer->stored_params(state);
  };
  const auto right = found({2, 256, 1, 8}, {4, 3, 2});
  ASSERT_TRUE(right.ok()) << right.error().text();
  EXPECT_EQ(right->front().param.shape, (std::vector<int64_t>{4, 24}));
  EXPECT_FALSE(found({1, 256, 1, 8}, {4, 3, 2}).ok());
  EXPECT_FALSE(found({2, 65536, 1, 8}, {4, 3, 2}).ok());
  EXPECT_FALSE(found({2, 256, 8, 1}, {4, 3, 2}).ok());
  EXPECT_FALSE(found({2, 256, 1}, {4, 3, 2}).ok());
  EXPECT_FALSE(found({2, 256, 1, 8}, {4, 3}).ok());
}

TEST(AqlmConfig, SaysWhatItCannotQuantize) {
  const auto says = [](const std::string& spec, std::vector<int64_t> shape, const char* because) {
    const auto quantizer = test_resolver(false).from_spec(spec, "");
    ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
    Param param;
    param.name = "layer.weight";
    param.module_kind = "Linear";
    param.shape = std::move(shape);
    const auto plan = (*quantizer)->plan(param);
    ASSERT_FALSE(plan.ok()) << spec;
    EXPECT_NE(plan.error().text().find(because), std::string::npos) << plan.error().text();
  };
  says("aqlm:nbits_per_codebook=8", {3, 50}, "not in blocks of 1 x 8");
  says("aqlm:in_group_size=0", {8, 64}, "'in_group_size' is 0");
  says("aqlm:nbits_per_codebook=17", {8, 64}, "'nbits_per_codebook' is 17");
  says("aqlm", {4096, 4096}, "take hours on a CPU");
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "aqlm",
      .golden = {{.folder = "aqlm",
                  .config =
                      [](const json& options) {
                        json config = options;
                        config.erase("shape");
                        config.erase("weight_dtype");
                        config["quant_method"] = "aqlm";
                        return config;
                      },
                  .decodes_only = true}},
      .skip_lists = {{"aqlm", {{"quant_method", "aqlm"}}, "linear_weights_not_to_quantize", false}},
      .products = products(),
      .least_configs = 35};
  return method;
}

}  // namespace precis
