// Products with quantized weights through the plugins: against the Python libraries' own layers,
// and against a sum in float64 over the decoded weight.
//
// Bounds. With mag = sum |x||w| + |bias|, u the unit roundoff of the activations' dtype, and K
// terms:
//   floats        K 2^-24 mag + u |y|, and twice its u mag more for each 16-bit dtype that decoded
//                 weights are rounded to: that of the original weight, bfloat16 of activations;
//   8-bit blocks  x is off by at most 1/254 of the largest |x| of its block of 32;
//   LLM.int8()    x is off by at most 1/254 of the largest |x| of its row, and float16's roundoff.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "core/abi/host.h"
#include "core/abi/linear.h"
#include "core/abi/views.h"
#include "core/engine/logical_tensor.h"
#include "core/format/container.h"
#include "registry/config/registry_resolver.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

RegistryResolver& resolver() {
  static auto* const plugins = new PluginRegistry(
      process_host(2).abi(), {fs::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  static auto* const instance = new RegistryResolver(*plugins);
  return *instance;
}

double unit_roundoff(DType dtype) {
  return dtype == DType::f32 ? 0x1p-24 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
}

std::vector<float> floats(DType dtype, std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() * 8 / dtype_bits(dtype));
  EXPECT_TRUE(convert_to_float(dtype, bytes.data(), values.size(), values.data()));
  return values;
}

std::vector<std::byte> stored(DType dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * dtype_bits(dtype) / 8);
  EXPECT_TRUE(convert_from_float(values.data(), values.size(), dtype, bytes.data()));
  return bytes;
}

std::vector<float> normal(std::size_t count, unsigned seed, float deviation) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

// A quantized weight with its stored parts, as a checkpoint or the quantizer itself gives them.
struct Weight {
  std::shared_ptr<const Quantizer> quantizer;
  Param param;
  std::vector<PartSpec> specs;
  std::vector<std::vector<std::byte>> memory;

  std::size_t rows() const { return static_cast<std::size_t>(param.shape[0]); }
  std::size_t columns() const { return static_cast<std::size_t>(param.shape[1]); }
  std::vector<std::span<const std::byte>> parts() const { return {memory.begin(), memory.end()}; }
  std::vector<float> decoded() const {
    std::vector<float> values(param.elements());
    const Status status = quantizer->dequantize(param, specs, parts(), 0, param.rows(), DType::f32,
                                                std::as_writable_bytes(std::span(values)));
    EXPECT_TRUE(status.ok()) << status.error().text();
    return values;
  }
};

Weight quantized(const std::string& spec, int64_t rows, int64_t columns, DType dtype = DType::f32) {
  Weight weight;
  auto quantizer = resolver().from_spec(spec, "");
  EXPECT_TRUE(quantizer.ok()) << quantizer.error().text();
  weight.quantizer = *quantizer;
  weight.param.name = "layer.weight";
  weight.param.module_kind = "Linear";
  weight.param.dtype = dtype;
  weight.param.shape = {rows, columns};
  auto plan = weight.quantizer->plan(weight.param);
  EXPECT_TRUE(plan.ok()) << plan.error().text();
  weight.specs = plan->parts;
  std::vector<std::span<std::byte>> parts;
  for (const PartSpec& part : plan->parts) weight.memory.emplace_back(part.nbytes);
  for (auto& part : weight.memory) parts.emplace_back(part);
  std::vector<std::byte> workspace(plan->workspace_bytes);
  const auto values = stored(dtype, normal(weight.param.elements(), 7, 0.05f));
  const Status status =
      weight.quantizer->quantize(weight.param, values, plan->parts, parts, workspace, nullptr);
  EXPECT_TRUE(status.ok()) << status.error().text();
  return weight;
}

// Rows of x, y or a bias with `stride` elements from row to row.
struct Rows {
  DType dtype;
  std::size_t count, columns, stride;
  std::vector<std::byte> memory;

  Rows(DType type, std::size_t rows, std::size_t width, std::size_t gap = 0)
      : dtype(type), count(rows), columns(width), stride(width + gap) {
    memory = stored(type, std::vector<float>(rows * stride, -77.0f));
  }
  Rows(DType type, std::size_t rows, std::size_t width, const std::vector<float>& values,
       std::size_t gap = 0)
      : Rows(type, rows, width, gap) {
    const auto bytes = stored(type, values);
    const std::size_t row_bytes = width * dtype_bits(type) / 8;
    for (std::size_t row = 0; row < rows; ++row) {
      std::copy_n(
          bytes.begin() + static_cast<std::ptrdiff_t>(row * row_bytes), row_bytes,
          memory.begin() + static_cast<std::ptrdiff_t>(row * stride * dtype_bits(type) / 8));
    }
  }
  std::vector<float> row(std::size_t index) const {
    const std::size_t bytes = dtype_bits(dtype) / 8;
    return floats(dtype, std::span(memory).subspan(index * stride * bytes, columns * bytes));
  }
};

// Prepared once, used for any number of rows up to the planned.
class Product {
 public:
  Product(const Weight& weight, DType activation, int64_t max_rows) : weight_(weight) {
    const LinearOptions options{kCpuDevice, activation, max_rows};
    auto plan = Linear::plan(*weight.quantizer, options, weight.param);
    EXPECT_TRUE(plan.ok()) << plan.error().text();
    EXPECT_TRUE(plan->keeps_parts);
    EXPECT_TRUE(plan->packed.empty());
    workspace_.resize(plan->workspace_bytes + 64, std::byte{0xff});  // NaNs, should it be read
    const auto parts = weight.parts();
    tensors_ = std::make_unique<AbiTensors>(weight.specs, parts);
    auto linear =
        Linear::prepare(weight.quantizer, options, weight.param,
                        std::span(tensors_->const_pointers(), tensors_->count()), {}, workspace());
    EXPECT_TRUE(linear.ok()) << linear.error().text();
    linear_ = std::move(*linear);
  }

  Status forward(Rows& x, Rows* bias, Rows& y) const {
    const auto abi_x = tensor(x), abi_y = tensor(y);
    if (bias == nullptr)
      return linear_->forward(*abi_x->get(), nullptr, *abi_y->get(), workspace());
    const int64_t features[] = {static_cast<int64_t>(bias->columns)};
    AbiTensor abi_bias(bias->memory.data(), bias->memory.size(), bias->dtype, features, "", true);
    return linear_->forward(*abi_x->get(), abi_bias.get(), *abi_y->get(), workspace());
  }

 private:
  static std::unique_ptr<AbiTensor> tensor(const Rows& rows) {
    const int64_t shape[] = {static_cast<int64_t>(rows.count), static_cast<int64_t>(rows.columns)};
    auto made = std::make_unique<AbiTensor>(rows.memory.data(), rows.memory.size(), rows.dtype,
                                            shape, "", false);
    made->get()->view.strides[0] = static_cast<int64_t>(rows.stride);
    return made;
  }
  std::span<std::byte> workspace() const {
    const auto address = reinterpret_cast<uintptr_t>(workspace_.data());
    return std::span(workspace_).subspan((64 - address % 64) % 64, workspace_.size() - 64);
  }

  const Weight& weight_;
  std::unique_ptr<AbiTensors> tensors_;
  mutable std::vector<std::byte> workspace_;
  std::unique_ptr<Linear> linear_;
};

enum class Arithmetic { floats, blocks, int8_rows };

Arithmetic arithmetic_of(const std::string& spec) {
  if (spec.starts_with("int8") || spec.starts_with("bitsandbytes_8bit"))
    return Arithmetic::int8_rows;
  for (const char* type : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"}) {
    if (spec == fmt::format("gguf:type={}", type)) return Arithmetic::blocks;
  }
  return Arithmetic::floats;
}

// The sum in float64 and how far a product may be from it.
struct Expected {
  double value, bound;
};

// A row of activations, and how far each of them may be off.
struct Row {
  std::vector<float> values;
  std::vector<double> errors;

  Row(Arithmetic arithmetic, std::vector<float> x) : values(std::move(x)), errors(values.size()) {
    const std::size_t block = arithmetic == Arithmetic::blocks ? 32 : values.size();
    for (std::size_t first = 0; first < values.size(); first += block) {
      const std::size_t end = std::min(values.size(), first + block);
      float largest = 0;
      for (std::size_t i = first; i < end; ++i) largest = std::max(largest, std::abs(values[i]));
      for (std::size_t i = first; i < end && arithmetic != Arithmetic::floats; ++i) {
        const double half = arithmetic == Arithmetic::int8_rows ? 0x1p-10 : 0;
        errors[i] = largest / 253.0 + std::abs(values[i]) * half + 1e-36;
      }
    }
  }
};

Expected expected(Arithmetic arithmetic, DType activation, DType stored_as, const Row& x,
                  std::span<const float> weight, float bias) {
  double value = bias, magnitude = std::abs(bias), error = 0, sum = 0;
  float largest = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double w = weight[i], product = x.values[i] * w;
    value += product;
    magnitude += std::abs(product);
    error += x.errors[i] * std::abs(w);
    sum += std::abs(x.values[i]);
    largest = std::max(largest, std::abs(weight[i]));
  }
  // Codes are summed above an offset, which is taken off again.
  if (arithmetic != Arithmetic::floats) error += 0x1p-19 * sum * largest;
  const double unit = unit_roundoff(activation);
  double weights = activation == DType::bf16 ? 2 * unit * magnitude : 0;
  if (stored_as != DType::f32) weights += 2 * unit_roundoff(stored_as) * magnitude;
  return {value, error + weights + static_cast<double>(weight.size() + 8) * 0x1p-24 * magnitude +
                     unit * std::abs(value) * 1.01 + 1e-37};
}

void expect_product(const std::string& spec, const Weight& weight, DType activation,
                    std::size_t batch, bool with_bias) {
  const std::size_t rows = weight.rows(), columns = weight.columns();
  const std::vector<float> decoded = weight.decoded();
  Rows x(activation, batch, columns, normal(batch * columns, 11, 1.0f), 5);
  Rows bias(activation, 1, rows, normal(rows, 13, 0.5f));
  Rows y(activation, batch, rows, 3);
  const Product product(weight, activation, static_cast<int64_t>(batch));
  const Status status = product.forward(x, with_bias ? &bias : nullptr, y);
  ASSERT_TRUE(status.ok()) << status.error().text();
  const std::vector<float> bias_values = bias.row(0);
  for (std::size_t i = 0; i < batch; ++i) {
    const Row in(arithmetic_of(spec), x.row(i));
    const std::vector<float> out = y.row(i);
    for (std::size_t j = 0; j < rows; ++j) {
      const Expected want = expected(arithmetic_of(spec), activation, weight.param.dtype, in,
                                     std::span(decoded).subspan(j * columns, columns),
                                     with_bias ? bias_values[j] : 0.0f);
      ASSERT_NEAR(out[j], want.value, want.bound)
          << spec << " " << dtype_name(activation) << " batch " << batch << " [" << i << ", " << j
          << "] of " << rows << " x " << columns;
    }
  }
  const std::vector<float> memory = floats(activation, y.memory);
  for (std::size_t i = 0; i < batch; ++i)
    for (std::size_t j = rows; j < y.stride; ++j)
      ASSERT_EQ(memory[i * y.stride + j], -77.0f) << "between the rows of y";
}

struct Case {
  std::string spec;
  std::vector<std::pair<int64_t, int64_t>> shapes;
};

std::vector<Case> cases() {
  const std::vector<std::pair<int64_t, int64_t>> any{{1, 7}, {3, 50}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> blocks{{5, 32}, {33, 320}, {100, 1312}};
  const std::vector<std::pair<int64_t, int64_t>> super_blocks{{5, 256}, {100, 1280}, {33, 512}};
  std::vector<Case> list{
      {"nf4", any},
      {"bitsandbytes_4bit:bnb_4bit_quant_type=fp4", any},
      {"bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_use_double_quant=true", any},
      {"bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_blocksize=128", any},
      {"int8", any},
      {"bitsandbytes_8bit:llm_int8_threshold=0.0", any},
      {"bitsandbytes_8bit:llm_int8_threshold=2.5", any}};
  for (const char* weights : {"int8", "int4", "int2", "float8", "float8_e5m2"})
    list.push_back({fmt::format("quanto:weights={}", weights), any});
  for (const char* type :
       {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4", "f16", "bf16"})
    list.push_back({fmt::format("gguf:type={}", type), blocks});
  for (const char* type : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs", "tq2_0"})
    list.push_back({fmt::format("gguf:type={}", type), super_blocks});
  return list;
}

class ProductTest : public testing::TestWithParam<Case> {};

TEST_P(ProductTest, IsTheSumOverTheDecodedWeight) {
  for (const auto& [rows, columns] : GetParam().shapes) {
    for (const DType stored_as : {DType::f32, DType::bf16}) {
      const Weight weight = quantized(GetParam().spec, rows, columns, stored_as);
      for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
        for (const std::size_t batch : {1, 3, 32, 257}) {
          if (batch == 257 && (stored_as == DType::bf16 || rows >= 100)) continue;
          expect_product(GetParam().spec, weight, activation, batch, batch != 3);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ProductTest, KeepsNaNAndInfinityInTheirRow) {
  const auto [rows, columns] = GetParam().shapes.back();
  const Weight weight = quantized(GetParam().spec, rows, columns);
  const auto width = static_cast<std::size_t>(columns);
  for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
    for (const std::size_t batch : {4, 40}) {
      std::vector<float> values = normal(batch * width, 11, 1.0f), spoilt = values;
      spoilt[1 * width + 3] = std::numeric_limits<float>::quiet_NaN();
      spoilt[2 * width + 5] = kInfinity;
      spoilt[2 * width + 40] = -kInfinity;
      // LLM.int8() takes a column of an outlier for all rows: the same columns in both.
      values[1 * width + 3] = 0;
      values[2 * width + 5] = values[2 * width + 40] = 50;
      Rows x(activation, batch, width, values), bad(activation, batch, width, spoilt);
      Rows y(activation, batch, weight.rows()), worse(activation, batch, weight.rows());
      const Product product(weight, activation, 64);
      ASSERT_TRUE(product.forward(x, nullptr, y).ok());
      ASSERT_TRUE(product.forward(bad, nullptr, worse).ok());
      for (std::size_t i = 0; i < batch; ++i) {
        const std::vector<float> clean = y.row(i), got = worse.row(i);
        for (std::size_t j = 0; j < weight.rows(); ++j) {
          const bool spoilt_row = i == 1 || i == 2;
          ASSERT_TRUE(spoilt_row ? !std::isfinite(got[j]) : got[j] == clean[j])
              << GetParam().spec << " row " << i << " column " << j;
        }
      }
    }
  }
}

TEST_P(ProductTest, TakesNoRowsAndRefusesTooMany) {
  const auto [rows, columns] = GetParam().shapes.front();
  const Weight weight = quantized(GetParam().spec, rows, columns);
  const Product product(weight, DType::f32, 2);
  for (const std::size_t batch : {0, 3}) {
    Rows x(DType::f32, batch, weight.columns()), y(DType::f32, batch, weight.rows());
    const Status status = product.forward(x, nullptr, y);
    EXPECT_EQ(status.ok(), batch == 0);
    if (!status.ok()) {
      EXPECT_NE(status.error().text().find("at most the planned 2"), std::string::npos);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ProductTest, testing::ValuesIn(cases()), [](const auto& info) {
  std::string name = info.param.spec;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

// A golden file's stored tensors as a weight.
struct Golden {
  std::shared_ptr<const Container> file;
  json config;

  explicit Golden(const fs::path& path) {
    auto opened = Container::open(path);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().text());
    file = *opened;
    config = json::parse(file->metadata().at("config").get<std::string>());
  }
  std::span<const std::byte> data(const std::string& name) const {
    return *file->data(*file->find(name));
  }
  Weight weight(const std::string& spec) const {
    Weight made;
    made.quantizer = *resolver().from_spec(spec, "");
    made.param.name = "layer.weight";
    made.param.module_kind = "Linear";
    made.param.dtype = file->find("input.weight")->dtype;
    made.param.shape = file->find("input.weight")->shape;
    auto plan = made.quantizer->plan(made.param);
    if (plan.ok()) {
      made.specs = plan->parts;
    } else {  // a type that is only read
      made.specs = {{"weight", DType::u8, made.param.shape, 0, "gguf." + spec.substr(10)}};
    }
    for (PartSpec& part : made.specs) {
      const auto bytes = data("expected." + part.name);
      made.memory.emplace_back(bytes.begin(), bytes.end());
      part.nbytes = bytes.size();
    }
    return made;
  }
};

std::vector<fs::path> golden_files(std::initializer_list<const char*> methods) {
  std::vector<fs::path> files;
  for (const char* method : methods) {
    for (const auto& entry :
         fs::directory_iterator(fs::path(PRECIS_SOURCE_DIR) / "tests/oracle/golden" / method))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string spec_of(const std::string& method, const json& config) {
  if (method == "bnb8") return "int8";
  if (method == "quanto") return "quanto:weights=" + config.at("weights").get<std::string>();
  std::string type = config.value("type", "");
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (method == "gguf") return "gguf:type=" + type;
  return fmt::format(
      "bitsandbytes_4bit:bnb_4bit_quant_type={},bnb_4bit_use_double_quant={},"
      "bnb_4bit_blocksize={},bnb_4bit_quant_storage={}",
      config.value("quant_type", "fp4"), config.value("double_quant", false),
      config.value("blocksize", 64), config.value("quant_storage", "uint8"));
}

// The library's own layer: both sides round the sum and, in bfloat16, weights or steps of the sum.
TEST(LibraryForward, IsMetWithinItsRounding) {
  int compared = 0;
  for (const fs::path& path : golden_files({"bnb4", "bnb8", "quanto"})) {
    const Golden golden(path);
    const TensorEntry* entry = golden.file->find("forward.x");
    if (entry == nullptr) continue;
    const std::string method = path.parent_path().filename();
    const Weight weight = golden.weight(spec_of(method, golden.config));
    const auto batch = static_cast<std::size_t>(entry->shape[0]);
    const std::vector<float> decoded = weight.decoded();
    Rows x(entry->dtype, batch, weight.columns(), floats(entry->dtype, golden.data("forward.x")));
    Rows bias(entry->dtype, 1, weight.rows(), floats(entry->dtype, golden.data("input.bias")));
    Rows y(entry->dtype, batch, weight.rows());
    const Status status = Product(weight, entry->dtype, 8).forward(x, &bias, y);
    ASSERT_TRUE(status.ok()) << status.error().text();
    const std::vector<float> want = floats(entry->dtype, golden.data("forward.y"));
    for (std::size_t i = 0; i < batch; ++i) {
      const std::vector<float> in = x.row(i), out = y.row(i);
      for (std::size_t j = 0; j < weight.rows(); ++j) {
        double magnitude = std::abs(bias.row(0)[j]);
        for (std::size_t k = 0; k < in.size(); ++k)
          magnitude += std::abs(static_cast<double>(in[k]) * decoded[j * in.size() + k]);
        // torch 2.13's _weight_int8pack_mm, which quanto takes for int8 with bfloat16, adds ragged
        // rows up in bfloat16: its sum is the one that is off.
        const bool sums_in_bfloat16 = entry->dtype == DType::bf16 && method == "quanto" &&
                                      golden.config.at("weights") == "qint8";
        const double terms = static_cast<double>(in.size());
        const double bound =
            (4 * unit_roundoff(entry->dtype) + terms * (sums_in_bfloat16 ? 0x1p-9 : 0x1p-24)) *
            magnitude;
        ASSERT_NEAR(out[j], want[i * weight.rows() + j], bound)
            << path.filename() << " [" << i << ", " << j << "]";
      }
    }
    ++compared;
  }
  EXPECT_GE(compared, 70);
}

// Every stored type, those that are only read included.
TEST(GgufForward, IsTheSumOverTheLibrarysDecodedWeight) {
  for (const fs::path& path : golden_files({"gguf"})) {
    const Golden golden(path);
    const std::string spec = spec_of("gguf", golden.config);
    if (path.stem().string().find("gauss") == std::string::npos) continue;
    const Weight weight = golden.weight(spec);
    for (const std::size_t batch : {1, 20}) {
      expect_product(spec, weight, DType::f32, batch, true);
      expect_product(spec, weight, DType::bf16, batch, true);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(LinearPlan, NamesTheRuleThatFails) {
  const auto quantizer = *resolver().from_spec("int8", "");
  Param param;
  param.name = "conv.weight";
  param.shape = {4, 4, 3, 3};
  auto plan = Linear::plan(*quantizer, {kCpuDevice, DType::f32, 1}, param);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text().find("'conv.weight' is not a matrix"), std::string::npos);
  param.shape = {4, 70000};
  plan = Linear::plan(*quantizer, {kCpuDevice, DType::f32, 1}, param);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text().find("in_features 70000 is above 65536"), std::string::npos);
}

}  // namespace
}  // namespace precis
