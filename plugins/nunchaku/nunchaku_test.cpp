#include <gtest/gtest.h>

#include "plugins/nunchaku/orders.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

json config_of(const json& options) {
  json config{{"quant_method", "nunchaku_lite"}};
  if (options["precision"].is_null()) {
    config["awq_w4a16"] = {{"precision", "int4"}, {"group_size", 64}, {"targets", {"layer"}}};
  } else {
    config["svdq_w4a4"] = {{"precision", options["precision"]},
                           {"group_size", options["precision"] == "int4" ? 64 : 16},
                           {"rank", options["rank"]},
                           {"targets", {"layer"}}};
  }
  return config;
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const DType dtype = param.dtype;
  if (options["precision"].is_null())
    return std::vector<PartSpec>{{"qweight", DType::i32, {rows / 4, columns / 2}, 0, ""},
                                 {"wscales", dtype, {columns / 64, rows}, 0, ""},
                                 {"wzeros", dtype, {columns / 64, rows}, 0, ""}};
  const bool int4 = options["precision"] == "int4";
  const int64_t rank = options["rank"];
  std::vector<PartSpec> parts{
      {"qweight", DType::i8, {rows, columns / 2}, 0, ""},
      {"wscales", int4 ? dtype : DType::f8_e4m3fn, {columns / (int4 ? 64 : 16), rows}, 0, ""},
      {"smooth_factor", dtype, {columns}, 0, ""},
      {"proj_down", dtype, {columns, rank}, 0, ""},
      {"proj_up", dtype, {rows, rank}, 0, ""}};
  if (!int4) {
    parts.push_back({"wcscales", dtype, {rows}, 0, ""});
    parts.push_back({"wtscale", dtype, {1}, 0, ""});
  }
  return parts;
}

// What Nunchaku 1.2's packer made of q[n][k] = ((3n + 5k) mod 16) - 8: its first bytes, and the
// FNV-1a hash of all.
TEST(NunchakuOrder, OfWeightsIsThatOfTheKernels) {
  std::vector<uint8_t> bytes(128 * 64);
  for (uint64_t n = 0; n < 128; ++n) {
    for (uint64_t k = 0; k < 128; ++k) {
      const uint64_t place = nunchaku::weight_place(128, n, k);
      const uint64_t code = ((3 * n + 5 * k) % 16 + 8) % 16;
      bytes[place / 2] = static_cast<uint8_t>(bytes[place / 2] | code << place % 2 * 4);
    }
  }
  const uint8_t first[] = {0xd8, 0x72, 0x1c, 0xb6, 0xd8, 0x72, 0x1c, 0xb6,
                           0x50, 0xfa, 0x94, 0x3e, 0x50, 0xfa, 0x94, 0x3e};
  EXPECT_TRUE(std::equal(std::begin(first), std::end(first), bytes.begin()));
  uint64_t hash = 0xcbf29ce484222325u;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  EXPECT_EQ(hash, 0x719c90a9a6b73325u);
}

TEST(NunchakuStored, OnlyTargetsAreQuantized) {
  const json config = config_of({{"precision", "int4"}, {"rank", 32}});
  const auto quantizer = *test_resolver(false).from_spec(config.dump(), "diffusers");
  Param param;
  param.module_kind = "Linear";
  param.shape = {128, 128};
  param.name = "layer.weight";
  EXPECT_FALSE(quantizer->storage(param)->keep);
  param.name = "other.weight";
  EXPECT_TRUE(quantizer->storage(param)->keep);
  const auto plan = quantizer->plan(param);
  EXPECT_FALSE(plan.ok());
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "nunchaku",
      .golden = {{.folder = "nunchaku", .config = config_of, .read_only = parts_of}},
      .least_configs = 30};
  return method;
}

}  // namespace precis
