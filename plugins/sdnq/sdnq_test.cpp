#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/format/container.h"
#include "plugins/sdnq/codes.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json config_of(const json& options) {
  json config = options.at("options");
  config["quant_method"] = "sdnq";
  return config;
}

std::optional<std::vector<PartSpec>> parts_of(const json& options, const Param&) {
  static const std::map<std::string, DType> dtypes{
      {"uint8", DType::u8},           {"int8", DType::i8},
      {"int64", DType::i64},          {"float32", DType::f32},
      {"bfloat16", DType::bf16},      {"float8_e4m3fn", DType::f8_e4m3fn},
      {"float8_e5m2", DType::f8_e5m2}};
  std::vector<PartSpec> parts;
  for (const json& part : options.at("parts"))
    parts.push_back({part[0], dtypes.at(part[1]), part[2].get<std::vector<int64_t>>(), 0, ""});
  return parts;
}

// What sdnq's packers made of these numbers.
TEST(SdnqCodes, StandWhereTheLibraryPutsThem) {
  const auto unpacked = [](const std::vector<uint8_t>& bytes, int bits, uint64_t count) {
    std::vector<uint32_t> numbers;
    for (uint64_t i = 0; i < count; ++i) numbers.push_back(sdnq::code_at(bytes.data(), bits, i));
    return numbers;
  };
  using Numbers = std::vector<uint32_t>;
  EXPECT_EQ(unpacked({0x53, 0xb8, 0xa5}, 3, 8), (Numbers{3, 0, 5, 2, 7, 4, 1, 6}));
  EXPECT_EQ(unpacked({0x83, 0x2d}, 4, 4), (Numbers{3, 8, 13, 2}));
  EXPECT_EQ(unpacked({0x83, 0x28, 0xcd, 0x72, 0x17}, 5, 8), (Numbers{3, 8, 13, 18, 23, 28, 1, 6}));
  EXPECT_EQ(unpacked({0x43, 0x08, 0x8d, 0x97, 0x5c, 0xa1}, 6, 8),
            (Numbers{3, 8, 13, 18, 23, 28, 33, 38}));
  EXPECT_EQ(unpacked({0x03, 0x88, 0x0d, 0x12, 0x97, 0x9c, 0x21}, 7, 8),
            (Numbers{3, 8, 13, 18, 23, 28, 33, 38}));
  EXPECT_EQ(unpacked({0x93}, 2, 4), (Numbers{3, 0, 1, 2}));
}

// Its floats have neither infinity nor NaN.
TEST(SdnqCodes, AllOnesAreAnOrdinaryFloat) {
  EXPECT_EQ(sdnq::value_of(*sdnq::number_of("float4_e2m1fn"), 7), 6.0f);
  EXPECT_EQ(sdnq::value_of(*sdnq::number_of("float4_e2m1fn"), 15), -6.0f);
  EXPECT_EQ(sdnq::value_of(*sdnq::number_of("float3_e2m0fn"), 3), 4.0f);
  EXPECT_TRUE(std::isnan(sdnq::value_of(*sdnq::number_of("float8_e4m3fn"), 127)));
}

// Low-rank parts and rotations are sums in float32, whose order is torch's own: off by a rounding
// of the sums, or of one step of the dtype.
TEST(SdnqSums, AreTheLibrarysButForRounding) {
  const fs::path folder = fs::path(PRECIS_SOURCE_DIR) / "plugins/sdnq/golden/sdnq_near";
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto file = *Container::open(entry.path());
    const json options = json::parse(file->metadata().at("config").get<std::string>());
    const TensorEntry& decoded = *file->find("dequantized.weight");
    Param param;
    param.name = "layer.weight";
    param.module_kind = "Linear";
    param.dtype = decoded.dtype;
    param.shape = decoded.shape;
    const auto quantizer = *test_resolver(false).from_spec(config_of(options).dump(), "diffusers");
    std::vector<PartSpec> specs = *parts_of(options, param);
    std::vector<Bytes> parts;
    for (PartSpec& spec : specs) {
      parts.push_back(*file->data(*file->find("expected." + spec.name)));
      spec.nbytes = parts.back().size();
    }
    std::vector<std::byte> out(param.elements() * dtype_bits(param.dtype) / 8);
    const Status status =
        quantizer->dequantize(param, specs, parts, 0, param.rows(), param.dtype, out);
    ASSERT_TRUE(status.ok()) << status.error().text();
    const std::vector<float> got = as_floats(param.dtype, out);
    const std::vector<float> want = as_floats(param.dtype, *file->data(decoded));
    const float largest = std::abs(*std::max_element(
        want.begin(), want.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
    const float step = param.dtype == DType::f32 ? 0x1p-20f : 0x1p-7f;
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want[i], step * largest) << entry.path() << " at " << i;
    ++files;
  }
  EXPECT_EQ(files, 10u);
}

}  // namespace

const MethodUnderTest& method_under_test() {
  static const MethodUnderTest method{
      .plugin = "sdnq",
      .golden = {{.folder = "sdnq", .config = config_of, .read_only = parts_of}},
      .least_configs = 25,
      .on_purpose = [](const json& config) -> std::string {
        const json modules = config.value("modules_to_not_convert", json());
        if (modules.is_array() && modules.size() > 2) return "the order of a set of Python's";
        if (modules.is_object() && modules.contains("$tuple")) return "JSON has no tuples";
        return "";
      }};
  return method;
}

}  // namespace precis
