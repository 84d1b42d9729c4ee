#include <gtest/gtest.h>

#include <cmath>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json entry = options;
  entry.erase("shape");
  entry.erase("weight_dtype");
  return {{"quant_method", "vptq"}, {"config_for_layers", {{"layer", entry}}}};
}

// The tensors of what is only read, in the order that the plugin takes them in.
std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t outliers = options["outlier_size"], groups = options["group_num"];
  const bool norm = options["enable_norm"], perm = options["enable_perm"];
  if (outliers == 0 && groups == 1 && norm && !perm) return std::nullopt;
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const int64_t vector = options["vector_lens"][1], centroids = options["num_centroids"][1];
  const int64_t residual = options["num_res_centroids"][1], group = options["group_size"];
  int64_t bits = static_cast<int64_t>(std::log2(centroids));
  if (residual > 0) bits += static_cast<int64_t>(std::log2(residual));
  const DType dtype = param.dtype;
  std::vector<PartSpec> parts{{"indices",
                               DType::i32,
                               {groups, (rows + vector - 1) / vector, (group * bits + 31) / 32},
                               0,
                               ""},
                              {"centroids.weight", dtype, {groups, centroids * vector}, 0, ""}};
  if (residual > 0)
    parts.push_back({"res_centroids.weight", dtype, {groups, residual * vector}, 0, ""});
  if (norm) {
    parts.push_back({"weight_scale", dtype, {columns}, 0, ""});
    parts.push_back({"weight_bias", dtype, {columns}, 0, ""});
  }
  if (perm) parts.push_back({"perm", DType::i16, {columns}, 0, ""});
  if (outliers > 0) {
    parts.push_back({"outlier_indices", DType::i16, {1, (rows + 3) / 4, outliers}, 0, ""});
    parts.push_back({"outlier_centroids.weight", dtype, {1, 16 * 4}, 0, ""});
  }
  return parts;
}

std::vector<ProductCase> products() {
  return {{"vptq:vector_len=8,num_centroids=64,num_res_centroids=16", {{8, 16}, {33, 320}}},
          {"vptq:vector_len=6,num_centroids=32,num_res_centroids=-1", {{1, 8}, {33, 320}}}};
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

// Of independent normal numbers the best code of b bits each is off by 2^-2b.
TEST(VptqFit, IsNearWhatItsBitsAllow) {
  EXPECT_LT(relative_error(quantized_weight("vptq:num_res_centroids=-1", 64, 512)), 0.30);
  EXPECT_LT(relative_error(quantized_weight("vptq", 64, 512)), 0.10);
  EXPECT_LT(relative_error(quantized_weight("vptq:vector_len=4", 64, 512)), 0.010);
}

// As many centroids as vectors.
TEST(VptqFit, IsExactWhereEveryVectorHasItsCentroid) {
  EXPECT_LT(relative_error(quantized_weight("vptq:num_res_centroids=-1", 16, 128)), 1e-12);
}

// Rows beyond the weight fill its last vectors, and cost nothing.
TEST(VptqFit, TakesRowsThatFillNoVector) {
  EXPECT_LT(relative_error(quantized_weight("vptq:vector_len=6,num_res_centroids=-1", 13, 64)),
            1e-12);
}

json entry() {
  return {{"in_features", 64},
          {"out_features", 16},
          {"vector_lens", {4, 8}},
          {"num_centroids", {16, 256}},
          {"num_res_centroids", {-1, -1}},
          {"group_num", 1},
          {"group_size", 60},
          {"outlier_size", 4},
          {"enable_norm", false},
          {"enable_perm", true}};
}

TEST(VptqStored, IsRefusedWhereTheConfigHasNoEntry) {
  const json config{{"quant_method", "vptq"}, {"config_for_layers", {{"other", entry()}}}};
  const auto quantizer = *test_resolver(false).from_spec(config.dump(), "");
  std::vector<TensorEntry> tensors(1);
  tensors[0] = {"layer.indices", DType::i32, "", {1, 2, 32}, 0, 0};
  StateDict state;
  for (const TensorEntry& tensor : tensors) state.tensors.push_back(&tensor);
  const auto found = quantizer->stored_params(state);
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().text().find("no entry for 'layer'"), std::string::npos);
}

// Parts of `entry`, all zero but for the permutation, decoded after `spoil`.
Status decode_spoilt(const std::function<void(std::vector<std::vector<std::byte>>& parts)>& spoil) {
  const json options = entry();
  Param param;
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = DType::f16;
  param.shape = {16, 64};
  json described = options;
  const auto quantizer = *test_resolver(false).from_spec(config_of(described).dump(), "");
  std::vector<PartSpec> specs = *parts_of(options, param);
  std::vector<std::vector<std::byte>> memory;
  for (PartSpec& spec : specs) {
    int64_t count = 1;
    for (const int64_t side : spec.shape) count *= side;
    spec.nbytes = static_cast<uint64_t>(count) * dtype_bits(spec.dtype) / 8;
    memory.emplace_back(spec.nbytes);
  }
  for (std::size_t i = 0; i < 64; ++i) memory[2][2 * i] = static_cast<std::byte>(63 - i);
  spoil(memory);
  std::vector<std::byte> out(16 * 64 * 2);
  const std::vector<Bytes> parts(memory.begin(), memory.end());
  return quantizer->dequantize(param, specs, parts, 0, 16, DType::f16, out);
}

TEST(VptqStored, IndicesThatLeadNowhereAreRefused) {
  EXPECT_TRUE(decode_spoilt([](auto&) {}).ok());
  const auto twice = decode_spoilt([](auto& parts) { parts[2][0] = std::byte{5}; });
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.error().text().find("'perm' is no permutation"), std::string::npos);
  const auto beyond = decode_spoilt([](auto& parts) { parts[2][1] = std::byte{1}; });
  EXPECT_FALSE(beyond.ok());
  const auto centroid = decode_spoilt([](auto& parts) { parts[3][0] = std::byte{16}; });
  ASSERT_FALSE(centroid.ok());
  EXPECT_NE(centroid.error().text().find("'outlier_indices' names no centroid"), std::string::npos);
}

TEST(VptqConfig, SaysWhatItCannotQuantize) {
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
  says("vptq:num_centroids=100", {8, 64}, "it must be a power of two");
  says("vptq:num_centroids=131072", {8, 64}, "it must be a power of two from 2 to 65536");
  says("vptq:vector_len=0", {8, 64}, "'vector_lens[1]' is 0");
  says("vptq:num_centroids=65536", {4096, 4096}, "take hours on a CPU");
  says(config_of(entry()).dump(), {16, 64}, "are only read");
  says(config_of(entry()).dump(), {16, 65}, "1 groups of 60 columns and 4 outliers");
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{.plugin = "vptq",
                                      .golden = {{.folder = "vptq",
                                                  .config = config_of,
                                                  .read_only = parts_of,
                                                  .decodes_only = true}},
                                      .products = products(),
                                      .least_configs = 35};
  return method;
}

}  // namespace precis
