#include <gtest/gtest.h>

#include <cstring>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  return {{"quant_method", "hqq"},
          {"quant_config",
           {{"weight_quant_params",
             {{"nbits", options.at("nbits")},
              {"channel_wise", true},
              {"group_size", options.value("group_size", 64)},
              {"optimize", options.value("optimize", true)},
              {"round_zero", options.at("nbits") == 4},
              {"axis", options.value("axis", 1)},
              {"view_as_float", options.value("view_as_float", false)}}},
            {"scale_quant_params", nullptr},
            {"zero_quant_params", nullptr},
            {"offload_meta", false}}},
          {"skip_modules", {"lm_head"}}};
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> shapes{{8, 64},   {40, 320}, {96, 1312},
                                                        {6, 4480}, {96, 384}, {70, 384}};
  std::vector<ProductCase> cases{{"hqq:nbits=3,group_size=40,axis=1", {{5, 40}, {33, 320}}},
                                 {"hqq:nbits=3,group_size=64,axis=1", {{7, 384}, {33, 640}}},
                                 {"hqq:nbits=3,group_size=128,axis=1", {{3, 5120}, {45, 768}}},
                                 {"hqq:nbits=4,group_size=null", {{8, 50}, {32, 320}}},
                                 {"hqq:nbits=4,group_size=64,axis=1", {{6, 4480}, {70, 384}}},
                                 {"hqq:nbits=4,group_size=128,axis=1", {{6, 4480}, {70, 384}}},
                                 {"hqq:nbits=4,group_size=256,axis=1", {{6, 4608}, {70, 512}}}};
  for (const char* nbits : {"8", "4", "3", "2", "1"}) {
    for (const char* axis : {"0", "1"})
      cases.push_back({std::string("hqq:nbits=") + nbits + ",group_size=32,axis=" + axis, shapes});
  }
  return cases;
}

// A stored weight of 4 bits whose describing tensors tests spoil.
struct Spoilt {
  StoredWeight weight = quantized_weight("hqq:nbits=4,group_size=32", 8, 64);

  std::size_t index(const std::string& name) const {
    for (std::size_t i = 0; i < weight.specs.size(); ++i) {
      if (weight.specs[i].name == name) return i;
    }
    ADD_FAILURE() << name;
    return 0;
  }
  template <typename Number>
  void set(const std::string& name, Number value) {
    std::memcpy(weight.memory[index(name)].data(), &value, sizeof value);
  }
  Status decode() const {
    std::vector<std::byte> out(weight.param.elements() * sizeof(float));
    return weight.quantizer->dequantize(weight.param, weight.specs, weight.parts(), 0,
                                        weight.param.rows(), DType::f32, out);
  }
  void expect_refused(const std::string& because) const {
    const Status status = decode();
    ASSERT_FALSE(status.ok()) << because;
    EXPECT_NE(status.error().text().find(because), std::string::npos) << status.error().text();
  }
};

template <typename Number>
void expect_refused(const std::string& name, Number value, const std::string& because) {
  Spoilt spoilt;
  ASSERT_TRUE(spoilt.decode().ok());
  spoilt.set(name, value);
  spoilt.expect_refused(because);
}

TEST(HqqStored, DescribingTensorsThatLieAreRefused) {
  expect_refused("nbits", int32_t{7}, "'nbits'");
  expect_refused("nbits", int32_t{8}, "'packing'");
  expect_refused("nbits", int32_t{-1}, "'nbits'");
  expect_refused("nbits", 1.57f, "'nbits'");
  expect_refused("group_size", int32_t{0}, "'group_size'");
  expect_refused("group_size", int32_t{-64}, "'group_size'");
  expect_refused("group_size", int32_t{33}, "groups of 33");
  expect_refused("group_size", int32_t{8}, "smaller than the weight's shape needs");
  expect_refused("group_size", int32_t{0x7fffffff}, "groups of");
  expect_refused("axis", int32_t{2}, "'axis'");
  expect_refused("shape", int64_t{-8}, "'shape'");
  expect_refused("shape", int64_t{1} << 62, "'shape'");
  expect_refused("shape", int64_t{16}, "'shape'");
  expect_refused("packing", 'X', "'packing'");
  expect_refused("quant_zero", uint8_t{1}, "no safetensors form");
}

TEST(HqqStored, DescribingTensorsCutShortAreRefused) {
  for (const char* name : {"shape", "nbits", "group_size", "axis", "packing", "scale", "zero"}) {
    Spoilt spoilt;
    const std::size_t index = spoilt.index(name);
    spoilt.weight.memory[index].pop_back();
    spoilt.weight.specs[index].nbytes -= 1;
    spoilt.weight.specs[index].dtype = DType::u8;
    spoilt.weight.specs[index].shape = {static_cast<int64_t>(spoilt.weight.specs[index].nbytes)};
    const Status status = spoilt.decode();
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code(), ErrorCode::data_loss) << status.error().text();
  }
}

TEST(HqqConfig, SaysWhatItCannotQuantize) {
  const auto plan = [](const std::string& spec, std::vector<int64_t> shape) -> std::string {
    const auto quantizer = test_resolver(false).from_spec(spec, "");
    if (!quantizer.ok()) return quantizer.error().text();
    Param param;
    param.name = "layer.weight";
    param.module_kind = "Linear";
    param.shape = std::move(shape);
    const auto made = (*quantizer)->plan(param);
    return made.ok() ? "" : made.error().text();
  };
  EXPECT_NE(plan("hqq:nbits=7", {8, 64}).find("'nbits' is 7"), std::string::npos);
  EXPECT_NE(plan("hqq:group_size=12", {8, 64}).find("a multiple of 8"), std::string::npos);
  EXPECT_NE(plan("hqq:axis=2", {8, 64}).find("'axis' is 2"), std::string::npos);
  EXPECT_NE(plan("hqq", {3, 50}).find("not in groups of 64"), std::string::npos);
  EXPECT_NE(plan("hqq:nbits=1,group_size=8", {1, 24}).find("packs multiples of 8"),
            std::string::npos);
  EXPECT_NE(
      plan("hqq:nbits=4,group_size=2,view_as_float=true,axis=0", {8, 4}).find("a multiple of 8"),
      std::string::npos);
}

TEST(HqqConfig, DynamicConfigQuantizesTheTagsItNames) {
  const json config{{"quant_method", "hqq"},
                    {"dynamic_config",
                     {{"self_attn.q_proj", {{"nbits", 8}, {"group_size", 64}}},
                      {"mlp.fc1", {{"nbits", 2}, {"group_size", 16}}}}}};
  const auto quantizer = test_resolver(false).from_spec(config.dump(), "transformers");
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  Param param;
  param.module_kind = "Linear";
  param.shape = {8, 64};
  const auto codes_of = [&](const std::string& module) -> uint64_t {
    param.name = module + ".weight";
    const auto storage = (*quantizer)->storage(param);
    EXPECT_TRUE(storage.ok());
    return storage->keep ? 0 : (*quantizer)->plan(param)->parts[0].nbytes;
  };
  EXPECT_EQ(codes_of("model.layers.3.self_attn.q_proj"), 8 * 64u);
  EXPECT_EQ(codes_of("model.layers.0.mlp.fc1"), 8 * 64u / 4);
  EXPECT_EQ(codes_of("model.layers.0.mlp.fc2"), 0u);
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "hqq",
      .golden = {{.folder = "hqq",
                  .config = config_of,
                  .fitted = [](const json& options) { return options.value("optimize", true); }}},
      .skip_lists = {{"hqq", {{"quant_method", "hqq"}}, "skip_modules", false}},
      .products = products(),
      .least_configs = 20};
  return method;
}

}  // namespace precis
