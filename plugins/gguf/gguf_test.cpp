#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

std::string type_of(const json& options) {
  std::string type = options.at("type");
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return type;
}

// ggml's IQ3_S encoder moves the codes and signs that follow 32 zeros one place up; see
// kernels/cpu/gguf/gguf.h. This does to a right block what it does. 32 zeros have codes, high bits
// and signs of zero, and in the recorded weights nothing else has.
void displace_iq3_s(uint8_t* block) {
  uint8_t *const codes = block + 2, *const high = block + 66, *const signs = block + 74;
  std::size_t place = 0;
  for (std::size_t group = 0; group < 8; ++group) {
    const auto zero = [](uint8_t byte) { return byte == 0; };
    if (std::all_of(codes + 8 * group, codes + 8 * group + 8, zero) && high[group] == 0 &&
        std::all_of(signs + 4 * group, signs + 4 * group + 4, zero)) {
      continue;
    }
    std::memmove(codes + 8 * place, codes + 8 * group, 8);
    std::memmove(signs + 4 * place, signs + 4 * group, 4);
    ++place;
  }
  std::memset(codes + 8 * place, 0, 8 * (8 - place));
  std::memset(signs + 4 * place, 0, 4 * (8 - place));
}

void same_blocks(const PartSpec& part, Bytes got, Bytes want) {
  if (part.encoding != "gguf.iq3_s") return same_numbers(part, got, want);
  std::vector<std::byte> displaced(got.begin(), got.end());
  for (std::size_t block = 0; block < displaced.size(); block += 110)
    displace_iq3_s(reinterpret_cast<uint8_t*>(displaced.data() + block));
  same_numbers(part, displaced, want);
}

// ggml's own products turn activations into integers for these types.
Sums sums_of(const std::string& type) {
  static const std::set<std::string> integers{
      "q4_0",  "q4_1",    "q5_0",   "q5_1",  "q8_0",    "q2_k",   "q3_k",
      "q4_k",  "q5_k",    "q6_k",   "mxfp4", "iq4_nl",  "iq4_xs", "iq1_s",
      "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s",  "tq2_0"};
  return integers.contains(type) ? Sums::int8_blocks : Sums::floats;
}

std::vector<ProductCase> products() {
  const std::vector<std::pair<int64_t, int64_t>> blocks{
      {5, 32}, {33, 320}, {100, 1312}, {6, 4480}, {70, 384}};
  const std::vector<std::pair<int64_t, int64_t>> super_blocks{
      {5, 256}, {100, 1280}, {6, 4608}, {70, 512}};
  std::vector<ProductCase> cases;
  for (const char* type :
       {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4", "f16", "bf16"})
    cases.push_back({std::string("gguf:type=") + type, blocks, sums_of(type)});
  for (const char* type : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs", "tq2_0", "tq1_0",
                           "q1_0", "q2_0", "nvfp4", "iq3_s", "iq3_xxs", "iq2_s"})
    cases.push_back({std::string("gguf:type=") + type, super_blocks, sums_of(type)});
  return cases;
}

TEST(GgufImportance, IsDemandedWhereGgmlDemandsIt) {
  Param param;
  param.name = "layer.weight";
  param.module_kind = "Linear";
  param.dtype = DType::f32;
  param.shape = {2, 256};
  for (const char* type : {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"}) {
    const std::string_view name = type;
    const auto quantizer = test_resolver(false).from_spec(std::string("gguf:type=") + type, "");
    ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
    param.importance = nullptr;
    const auto without = (*quantizer)->plan(param);
    const bool demanded = name == "iq1_s" || name == "iq2_xxs" || name == "iq2_xs";
    EXPECT_EQ(without.ok(), !demanded) << type;
    if (!without.ok()) {
      EXPECT_NE(without.error().text().find("--imatrix"), std::string::npos);
    }
    param.importance = std::make_shared<std::vector<float>>(256, 1.0f);
    EXPECT_TRUE((*quantizer)->plan(param).ok()) << type;
  }
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "gguf",
      .golden = {{.folder = "gguf",
                  .config =
                      [](const json& options) {
                        return json{{"quant_method", "gguf"}, {"type", type_of(options)}};
                      },
                  .same_part = same_blocks,
                  .opaque_parts = true,
                  .sums = [](const json& options) { return sums_of(type_of(options)); }}},
      .skip_lists = {{"gguf",
                      {{"quant_method", "gguf"}, {"type", "q8_0"}},
                      "modules_to_not_convert"}},
      .products = products(),
      .least_configs = 45};
  return method;
}

}  // namespace precis
