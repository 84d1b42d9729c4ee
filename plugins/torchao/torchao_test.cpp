#include <gtest/gtest.h>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json named(const std::string& name, json arguments) {
  return {{"quant_method", "torchao"},
          {"quant_type", name},
          {"quant_type_kwargs", std::move(arguments)}};
}

json config_of(const json& options) {
  const std::string type = options.at("type");
  json arguments = json::object();
  if (options.contains("group_size")) arguments["group_size"] = options["group_size"];
  if (options.contains("granularity")) arguments["granularity"] = options["granularity"];
  if (type == "int8wo") return named("int8_weight_only", arguments);
  if (options.contains("mapping")) arguments["act_mapping_type"] = options["mapping"];
  if (type == "int8dyn") return named("int8_dynamic_activation_int8_weight", arguments);
  if (type == "fp8dyn") return named("float8_dynamic_activation_float8_weight", arguments);
  if (type == "fp8wo") return named("float8_weight_only", arguments);
  arguments["weight_dtype"] = options.value("dtype", "int4");
  return named(type == "intxdyn" ? "Int8DynamicActivationIntxWeightConfig" : "IntxWeightOnlyConfig",
               arguments);
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> groups{
      {5, 32}, {33, 320}, {100, 1312}, {6, 4480}, {70, 384}};
  const std::vector<std::pair<int64_t, int64_t>> wide{{6, 4608}, {70, 512}};
  return {{"torchao:quant_type=int8_weight_only", any},
          {"torchao:quant_type=int8_weight_only,granularity=tensor", any},
          {"torchao:quant_type=int8_weight_only,group_size=32", groups},
          {"torchao:quant_type=int4_weight_only,group_size=32", groups},
          {"torchao:quant_type=int4_weight_only,group_size=64", wide},
          {"torchao:quant_type=int4_weight_only,group_size=128", wide},
          {"torchao:quant_type=int4_weight_only,group_size=256", wide},
          {"torchao:quant_type=IntxWeightOnlyConfig,weight_dtype=int3,group_size=32", groups},
          {"torchao:quant_type=float8_weight_only", any},
          {"torchao:quant_type=float8wo_e5m2,group_size=32", groups},
          {"torchao:quant_type=int8_dynamic_activation_int8_weight", any, Sums::dynamic_int8},
          {"torchao:quant_type=Int8DynamicActivationIntxWeightConfig,weight_dtype=int4", groups,
           Sums::dynamic_int8}};
}

// A stored weight whose parts tests spoil.
struct Spoilt {
  StoredWeight weight;

  Spoilt(const std::string& spec, DType dtype) : weight(quantized_weight(spec, 8, 64, dtype)) {}
  void expect_refused(const std::string& because) const {
    std::vector<std::byte> out(weight.param.elements() * sizeof(float));
    const Status status = weight.quantizer->dequantize(weight.param, weight.specs, weight.parts(),
                                                       0, 8, DType::f32, out);
    ASSERT_FALSE(status.ok()) << because;
    EXPECT_NE(status.error().text().find(because), std::string::npos) << status.error().text();
  }
  void reshape(std::size_t part, std::vector<int64_t> shape) {
    weight.specs[part].shape = std::move(shape);
  }
};

const char* const kPairs = "torchao:quant_type=int4_weight_only,group_size=32";
const char* const kTiles =
    "torchao:quant_type=int4_weight_only,group_size=32,packing_format=tile_packed_to_4d";
const char* const kBytes = "torchao:quant_type=int8_weight_only,group_size=32";

TEST(TorchAoStored, PartsOfOtherShapesAreRefused) {
  const auto refused = [](const char* spec, DType dtype, std::size_t part,
                          std::vector<int64_t> shape, const std::string& because) {
    Spoilt spoilt(spec, dtype);
    spoilt.reshape(part, std::move(shape));
    spoilt.expect_refused(because);
  };
  refused(kBytes, DType::f32, 1, {3, 5}, "does not divide");
  refused(kBytes, DType::f32, 1, {0, 2}, "does not divide");
  refused(kBytes, DType::f32, 1, {2, 2, 4}, "does not divide");
  refused(kBytes, DType::f32, 1, {8, 64}, "smaller than the weight's shape needs");
  refused(kPairs, DType::f32, 1, {2, 7}, "not those of an Int4Tensor");
  refused(kPairs, DType::f32, 1, {0, 8}, "not those of an Int4Tensor");
  refused(kPairs, DType::f32, 1, {64, 8}, "smaller than the weight's shape needs");
  refused(kTiles, DType::bf16, 0, {1, 8, 32, 2}, "not those of an Int4TilePackedTo4dTensor");
  refused(kTiles, DType::bf16, 0, {1, 16, 32, 4}, "smaller than the weight's shape needs");
  refused(kTiles, DType::bf16, 1, {7, 8, 2}, "not those of the weight's shape");
  refused(kTiles, DType::bf16, 1, {1 << 20, 8, 2}, "not those of the weight's shape");
}

TEST(TorchAoStored, PartsOfOtherDtypesAreRefused) {
  Spoilt codes(kBytes, DType::f32);
  codes.weight.specs[0].dtype = DType::i16;
  codes.expect_refused("'_weight_qdata' has the wrong dtype");
  Spoilt zeros(kPairs, DType::f32);
  zeros.weight.specs[2].dtype = DType::bf16;
  zeros.expect_refused("not those of an Int4Tensor");
  Spoilt scales(kBytes, DType::f32);
  scales.weight.specs[1].dtype = DType::i32;
  scales.expect_refused("'_weight_scale' is no floating dtype");
}

// The weight that a file's tensors and metadata tell, or the error.
Result<std::vector<StoredParam>> found(const std::vector<TensorEntry>& tensors,
                                       const std::string& object) {
  StateDict state;
  for (const TensorEntry& tensor : tensors) state.tensors.push_back(&tensor);
  state.metadata_json = json{{"layer.weight", object}}.dump();
  return (*test_resolver(false).from_spec(kBytes, ""))->stored_params(state);
}

TensorEntry entry(const std::string& name, DType dtype, std::vector<int64_t> shape) {
  TensorEntry tensor;
  tensor.name = "layer." + name;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  return tensor;
}

TEST(TorchAoStored, MetadataThatLiesIsRefused) {
  const std::vector<TensorEntry> tiles{entry("_weight_qdata", DType::i32, {1, 8, 32, 4}),
                                       entry("_weight_scale_and_zero", DType::bf16, {32, 8, 2})};
  const auto weight = found(tiles, R"({"_type": "T", "_data": {"shape": [5, 1000]}})");
  ASSERT_TRUE(weight.ok()) << weight.error().text();
  EXPECT_EQ(weight->front().param.shape, (std::vector<int64_t>{5, 1000}));
  for (const char* object : {R"({"_type": "T", "_data": {"shape": [-5, 1000]}})",
                             R"({"_type": "T", "_data": {"shape": [4611686018427387904, 16]}})",
                             R"({"_type": 3})", "{", "[]"})
    EXPECT_FALSE(found(tiles, object).ok()) << object;
}

TEST(TorchAoStored, ClassesThatPrecisDoesNotDecodeAreNamed) {
  const auto mx =
      found({entry("_weight_qdata", DType::u8, {8, 32}), entry("_weight_scale", DType::u8, {8, 2})},
            R"({"_type": "MXTensor", "_data": {}})");
  ASSERT_FALSE(mx.ok());
  EXPECT_NE(mx.error().text().find("MXTensor"), std::string::npos);
  const auto scaled =
      found({entry("_weight_qdata", DType::i8, {8, 64}), entry("_weight_scale", DType::f32, {8, 1}),
             entry("_weight_act_pre_scale", DType::f32, {64})},
            R"({"_type": "Int8Tensor", "_data": {}})");
  ASSERT_FALSE(scaled.ok());
  EXPECT_NE(scaled.error().text().find("AWQ"), std::string::npos);
  EXPECT_FALSE(found({entry("_weight_qdata", DType::i8, {8, 64})}, "").ok());
}

std::string refusal(const std::string& spec, std::vector<int64_t> shape, DType dtype) {
  const auto quantizer = test_resolver(false).from_spec(spec, "");
  if (!quantizer.ok()) return quantizer.error().text();
  Param param;
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = dtype;
  param.shape = std::move(shape);
  const auto plan = (*quantizer)->plan(param);
  return plan.ok() ? "" : plan.error().text();
}

TEST(TorchAoConfig, SaysWhatItCannotQuantize) {
  const auto says = [](const std::string& spec, std::vector<int64_t> shape, DType dtype,
                       const std::string& because) {
    const std::string text = refusal(spec, std::move(shape), dtype);
    EXPECT_NE(text.find(because), std::string::npos) << spec << ": " << text;
  };
  const std::string named = "torchao:quant_type=";
  says(named + "int4_weight_only,group_size=48", {8, 64}, DType::f32, "not in groups of 48");
  says(named + "int4_weight_only,group_size=33", {8, 66}, DType::f32, "must be even");
  says(named + "int4_weight_only,group_size=-32", {8, 64}, DType::f32, "must be even and positive");
  says(kTiles, {8, 64}, DType::f32, "bfloat16 weights alone");
  says(named + "float8_dynamic_activation_float8_weight", {8, 64}, DType::f32, "multiples of 16");
  says(named + "float8dq_e4m3_row", {16, 64}, DType::f32, "take bfloat16");
  says(named + "IntxWeightOnlyConfig,weight_dtype=int9", {8, 64}, DType::f32, "none of int1");
  says(named + "int8_weight_only,granularity=column", {8, 64}, DType::f32, "row, tensor or axis");
  says(named + "int3_weight_only", {8, 64}, DType::f32, "no quant_type 'int3_weight_only'");
  says(named + "NVFP4WeightOnlyConfig", {8, 64}, DType::f32, "no quant_type");
  says("torchao", {8, 64}, DType::f32, "'quant_type' is missing");
}

// bfloat16 alone, so not among products().
TEST(TorchAoProducts, AreMadeOfTilesToo) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{5, 32}, {33, 320}}) {
    const StoredWeight weight = quantized_weight(kTiles, rows, columns, DType::bf16);
    for (const std::size_t batch : {1, 3, 32, 257}) {
      for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
        expect_product(weight, Sums::floats, activation, batch, true);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const json config = named("int8_weight_only", json::object());
  static const MethodUnderTest method{
      .plugin = "torchao",
      .golden = {{.folder = "torchao",
                  .config = config_of,
                  .sums =
                      [](const json& options) {
                        const std::string type = options.at("type");
                        if (type == "fp8dyn") return Sums::dynamic_float8;
                        return type == "int8dyn" || type == "intxdyn" ? Sums::dynamic_int8
                                                                      : Sums::floats;
                      }},
                 {.folder = "torchao_int4_plain",
                  .config =
                      [](const json& options) {
                        return named("int4_weight_only", {{"group_size", options["group_size"]}});
                      }}},
      .skip_lists = {{"torchao", config, "modules_to_not_convert"}},
      .products = products(),
      .least_configs = 80};
  return method;
}

}  // namespace precis
