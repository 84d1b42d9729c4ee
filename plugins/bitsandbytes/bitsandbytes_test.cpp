#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json four_bit_config(const json& options) {
  json config{{"quant_method", "bitsandbytes"},
              {"load_in_4bit", true},
              {"bnb_4bit_quant_type", options.value("quant_type", "fp4")},
              {"bnb_4bit_use_double_quant", options.value("double_quant", false)}};
  if (options.contains("blocksize")) config["bnb_4bit_blocksize"] = options["blocksize"];
  if (options.contains("quant_storage"))
    config["bnb_4bit_quant_storage"] = options["quant_storage"];
  return config;
}

// The JSON of quant_state is padded, so that its size does not depend on the data.
void same_four_bit_part(const PartSpec& part, Bytes got, Bytes want) {
  if (part.name.find("quant_state") == std::string::npos) return same_numbers(part, got, want);
  const std::string_view left(reinterpret_cast<const char*>(got.data()), got.size());
  const std::string_view right(reinterpret_cast<const char*>(want.data()), want.size());
  EXPECT_EQ(json::parse(left), json::parse(right));
  EXPECT_EQ(left.substr(0, right.size()), right) << part.name;
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> shapes{{1, 7},      {3, 50},   {33, 320},
                                                        {100, 1312}, {6, 4480}, {70, 384}};
  return {{"nf4", shapes},
          {"bitsandbytes_4bit:bnb_4bit_quant_type=fp4", shapes},
          {"bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_use_double_quant=true", shapes},
          {"bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_blocksize=128", shapes},
          {"bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_blocksize=256", shapes},
          {"int8", shapes, Sums::int8_rows},
          {"bitsandbytes_8bit:llm_int8_threshold=0.0", shapes, Sums::int8_rows},
          {"bitsandbytes_8bit:llm_int8_threshold=2.5", shapes, Sums::int8_rows}};
}

// Integers of 8 bits: a longer sum could leave 32 bits.
TEST(Int8Product, RefusesRowsWhoseSumsCouldOverflow) {
  const auto quantizer = *test_resolver(false).from_spec("int8", "");
  Param param;
  param.name = "layer.weight";
  param.shape = {4, 70000};
  const auto plan = Linear::plan(*quantizer, {kCpuDevice, DType::f32, 1}, param);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text().find("in_features 70000 is above 65536"), std::string::npos);
}

std::string on_purpose(const json& config) {
  if (config.value("bnb_4bit_compute_dtype", json()) == "Tensor") {
    return "torch.Tensor exists but is no dtype: a TypeError there by accident, an unknown dtype "
           "here";
  }
  const auto storage = config.find("bnb_4bit_quant_storage");
  if (storage != config.end() && storage->is_object())
    return "a dtype object, which the library does not check; JSON has only its name";
  return "";
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const json four{{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  static const json eight{{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}};
  static const MethodUnderTest method{
      .plugin = "bitsandbytes",
      .golden = {{.folder = "bnb4", .config = four_bit_config, .same_part = same_four_bit_part},
                 {.folder = "bnb8",
                  .config = [](const json&) { return eight; },
                  .sums = [](const json&) { return Sums::int8_rows; }}},
      .skip_lists = {{"bitsandbytes_4bit", four, "llm_int8_skip_modules"},
                     {"bitsandbytes_8bit", eight, "llm_int8_skip_modules"}},
      .products = products(),
      .least_configs = 450,
      .on_purpose = on_purpose};
  return method;
}

}  // namespace precis
