// Every recorded output of the Python libraries, reproduced through the plugins: planned names,
// dtypes and shapes, encoded bytes, decoded values. tests/oracle/README.md says what the files
// hold.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "core/abi/host.h"
#include "core/engine/logical_tensor.h"
#include "core/format/container.h"
#include "registry/config/registry_resolver.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

RegistryResolver& resolver() {
  static auto* const plugins = new PluginRegistry(
      process_host().abi(), {fs::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  static auto* const instance = new RegistryResolver(*plugins);
  return *instance;
}

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const char* method : {"bnb4", "bnb8", "gguf", "quanto"}) {
    for (const auto& entry :
         fs::directory_iterator(fs::path(PRECIS_SOURCE_DIR) / "tests/oracle/golden" / method)) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The config string of precis for the options that the library was given.
std::string spec_of(const std::string& method, const json& config) {
  if (method == "bnb4") {
    std::string spec =
        fmt::format("bitsandbytes_4bit:bnb_4bit_quant_type={},bnb_4bit_use_double_quant={}",
                    config.value("quant_type", "fp4"), config.value("double_quant", false));
    if (config.contains("blocksize"))
      spec += fmt::format(",bnb_4bit_blocksize={}", config["blocksize"].get<int>());
    if (config.contains("quant_storage"))
      spec += fmt::format(",bnb_4bit_quant_storage={}", config["quant_storage"].get<std::string>());
    return spec;
  }
  if (method == "bnb8") return "int8";
  if (method == "quanto")
    return fmt::format("quanto:weights={}", config.at("weights").get<std::string>());
  std::string type = config.at("type");
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return "gguf:type=" + type;
}

struct Golden {
  std::shared_ptr<const Container> file;
  std::string method;
  json config;
  Param param;

  explicit Golden(const fs::path& path) {
    auto opened = Container::open(path);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().text());
    file = *opened;
    method = path.parent_path().filename();
    config = json::parse(file->metadata().at("config").get<std::string>());
    const TensorEntry& weight = *file->find("input.weight");
    param.name = "layer.weight";
    param.module_kind = "Linear";
    param.dtype = weight.dtype;
    param.shape = weight.shape;
    if (config.contains("imatrix") && !config["imatrix"].is_null()) {
      auto importance = std::make_shared<std::vector<float>>(param.row_elements(), 1.0f);
      if (config["imatrix"].is_array()) *importance = config["imatrix"].get<std::vector<float>>();
      param.importance = importance;
    }
  }
  std::span<const std::byte> data(const std::string& name) const {
    return *file->data(*file->find(name));
  }
};

std::vector<float> floats(DType dtype, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() * 8 / dtype_bits(dtype));
  EXPECT_TRUE(convert_to_float(dtype, bytes.data(), values.size(), values.data()));
  return values;
}

// Bit for bit, but for the payloads of NaNs.
void expect_same_floats(const std::vector<float>& got, const std::vector<float>& want,
                        const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    // FP4 has two codes for zero, and the library's table gives both +0.
    if (got[i] == 0 && want[i] == 0) continue;
    ASSERT_EQ(got[i], want[i]) << what << " at " << i;
  }
}

// NaN bytes of float8 and NaN scales may carry any payload; double quantization's JSON is padded.
void expect_same_part(const PartSpec& spec, std::span<const std::byte> got,
                      std::span<const std::byte> want) {
  if (spec.name.find("quant_state") != std::string::npos) {
    const std::string_view left(reinterpret_cast<const char*>(got.data()), got.size());
    const std::string_view right(reinterpret_cast<const char*>(want.data()), want.size());
    EXPECT_EQ(json::parse(left), json::parse(right));
    EXPECT_EQ(left.substr(0, right.size()), right) << spec.name;
    return;
  }
  const bool floating =
      is_floating(spec.dtype) || spec.dtype == DType::f8_e4m3fn || spec.dtype == DType::f8_e5m2;
  if (floating && spec.name != "weight")
    return expect_same_floats(floats(spec.dtype, got), floats(spec.dtype, want), spec.name);
  ASSERT_EQ(got.size(), want.size()) << spec.name;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(got[i], want[i]) << spec.name << " at byte " << i;
}

// Types that precis reads and does not write: their encoders search lattices.
bool is_read_only(const Golden& golden) {
  if (golden.method != "gguf") return false;
  const std::string type = golden.config.at("type");
  return type.starts_with("IQ1") || type.starts_with("IQ2") || type.starts_with("IQ3");
}

// Decodes the library's own tensors, all at once and row by row.
void expect_decodes(const Golden& golden, const Quantizer& quantizer, std::vector<PartSpec> specs) {
  const TensorEntry* decoded = golden.file->find("dequantized.weight");
  if (decoded == nullptr) return;
  std::vector<std::span<const std::byte>> stored;
  for (PartSpec& spec : specs) {
    stored.push_back(golden.data("expected." + spec.name));
    spec.nbytes = stored.back().size();
  }
  const std::vector<float> want = floats(decoded->dtype, golden.data("dequantized.weight"));
  std::vector<float> got(want.size());
  const int64_t rows = golden.param.rows();
  for (const int64_t step : {rows, int64_t{1}}) {
    std::fill(got.begin(), got.end(), -1.0f);
    for (int64_t row = 0; row < rows; row += step) {
      const auto slice =
          std::span(got).subspan(static_cast<std::size_t>(row) * golden.param.row_elements(),
                                 static_cast<std::size_t>(step) * golden.param.row_elements());
      const Status status = quantizer.dequantize(golden.param, specs, stored, row, step, DType::f32,
                                                 std::as_writable_bytes(slice));
      ASSERT_TRUE(status.ok()) << status.error().text();
    }
    expect_same_floats(got, want, "dequantized");
  }
}

class GoldenTest : public testing::TestWithParam<fs::path> {};

TEST_P(GoldenTest, EncodesAndDecodesAsTheLibraryDoes) {
  const Golden golden(GetParam());
  auto quantizer = resolver().from_spec(spec_of(golden.method, golden.config), "");
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  auto plan = (*quantizer)->plan(golden.param);
  if (is_read_only(golden)) {
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code(), ErrorCode::unsupported);
    const std::string encoding = "gguf." + spec_of(golden.method, golden.config).substr(10);
    return expect_decodes(golden, **quantizer,
                          {{"weight", DType::u8, golden.param.shape, 0, encoding}});
  }
  ASSERT_TRUE(plan.ok()) << plan.error().text();

  std::vector<std::vector<std::byte>> memory;
  std::vector<std::span<std::byte>> parts;
  for (const PartSpec& spec : plan->parts) {
    const TensorEntry* expected = golden.file->find("expected." + spec.name);
    ASSERT_NE(expected, nullptr) << spec.name;
    if (golden.method != "gguf") {  // there the library shows every tensor as bytes
      EXPECT_EQ(spec.dtype, expected->dtype) << spec.name;
      const bool padded = spec.name.find("quant_state") != std::string::npos;
      EXPECT_EQ(padded ? expected->shape : spec.shape, expected->shape) << spec.name;
    }
    memory.emplace_back(spec.nbytes, std::byte{0xa5});
  }
  for (auto& part : memory) parts.emplace_back(part);
  std::vector<std::byte> workspace(plan->workspace_bytes);
  const Status encoded = (*quantizer)
                             ->quantize(golden.param, golden.data("input.weight"), plan->parts,
                                        parts, workspace, nullptr);
  ASSERT_TRUE(encoded.ok()) << encoded.error().text();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    expect_same_part(plan->parts[i], parts[i], golden.data("expected." + plan->parts[i].name));
  }

  expect_decodes(golden, **quantizer, plan->parts);
}

INSTANTIATE_TEST_SUITE_P(Oracle, GoldenTest, testing::ValuesIn(golden_files()),
                         [](const auto& info) {
                           std::string name = info.param.parent_path().filename().string() + "_" +
                                              info.param.stem().string();
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace precis
