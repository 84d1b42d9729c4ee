// Products with a method's quantized weights through its plugin: against a sum in float64 over the
// decoded weight, and against the Python library's own layers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/method/golden.h"
#include "tests/method/product.h"

namespace precis {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ProductTest : public testing::TestWithParam<ProductCase> {};

TEST_P(ProductTest, IsTheSumOverTheDecodedWeight) {
  for (const auto& [rows, columns] : GetParam().shapes) {
    for (const DType stored_as : {DType::f32, DType::bf16}) {
      const StoredWeight weight = quantized_weight(GetParam().spec, rows, columns, stored_as);
      for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
        for (const std::size_t batch : {1, 3, 4, 32, 257}) {
          if (batch == 257 && (stored_as == DType::bf16 || rows >= 100)) continue;
          expect_product(weight, GetParam().sums, activation, batch, batch != 3);
          if (batch == 32 && GetParam().sums == Sums::int8_blocks)
            expect_product(weight, GetParam().sums, activation, batch, true, /*may_round=*/false);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ProductTest, KeepsNaNAndInfinityInTheirRow) {
  const auto [rows, columns] = GetParam().shapes.back();
  const StoredWeight weight = quantized_weight(GetParam().spec, rows, columns);
  const auto width = static_cast<std::size_t>(columns);
  for (const DType activation : {DType::f32, DType::f16, DType::bf16}) {
    for (const std::size_t batch : {4, 40}) {
      std::vector<float> values = normal_numbers(batch * width, 11, 1.0f), spoilt = values;
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
              << "row " << i << " column " << j;
        }
      }
    }
  }
}

// The part that holds a float8 for each weight, or none.
std::vector<std::byte>* float8_codes(StoredWeight& weight) {
  for (std::size_t i = 0; i < weight.specs.size(); ++i) {
    const PartSpec& part = weight.specs[i];
    if (part.dtype == DType::f8_e4m3fn && part.shape == weight.param.shape)
      return &weight.memory[i];
  }
  return nullptr;
}

TEST_P(ProductTest, AFloat8ThatIsNoNumberSpoilsItsRowOfTheWeight) {
  for (const auto& [rows, columns] : GetParam().shapes) {
    StoredWeight weight = quantized_weight(GetParam().spec, rows, columns);
    std::vector<std::byte>* codes = float8_codes(weight);
    if (codes == nullptr) return;
    const auto spoilt_row = static_cast<std::size_t>(rows / 2);
    for (const unsigned code : {0x7fu, 0xffu}) {
      (*codes)[spoilt_row * weight.columns() + weight.columns() - 2] = std::byte(code);
      for (const DType activation : {DType::f32, DType::bf16}) {
        for (const std::size_t batch : {1, 2, 7, 40}) {
          Rows x(activation, batch, weight.columns(),
                 normal_numbers(batch * weight.columns(), 11, 1.0f));
          Rows y(activation, batch, weight.rows());
          ASSERT_TRUE(Product(weight, activation, 64).forward(x, nullptr, y).ok());
          for (std::size_t i = 0; i < batch; ++i) {
            const std::vector<float> got = y.row(i);
            for (std::size_t j = 0; j < got.size(); ++j)
              ASSERT_EQ(std::isnan(got[j]), j == spoilt_row) << "[" << i << ", " << j << "]";
          }
        }
      }
    }
  }
}

TEST_P(ProductTest, TakesNoRowsAndRefusesTooMany) {
  const auto [rows, columns] = GetParam().shapes.front();
  const StoredWeight weight = quantized_weight(GetParam().spec, rows, columns);
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

TEST_P(ProductTest, NamesTheRuleThatFails) {
  const auto quantizer = *test_resolver(false).from_spec(GetParam().spec, "");
  Param param;
  param.name = "conv.weight";
  param.shape = {4, 4, 3, 3};
  const auto plan = Linear::plan(*quantizer, {kCpuDevice, DType::f32, 1}, param);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text().find("'conv.weight' is not a matrix"), std::string::npos);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ProductTest);
INSTANTIATE_TEST_SUITE_P(Formats, ProductTest, testing::ValuesIn(method_under_test().products),
                         [](const auto& info) {
                           std::string name = std::to_string(info.index) + "_" + info.param.spec;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

StoredWeight stored_weight(const Golden& golden) {
  StoredWeight weight;
  weight.quantizer = *test_resolver(false).from_spec(golden.spec(), "");
  weight.param = golden.param;
  weight.specs = golden.stored_parts(*weight.quantizer);
  for (const PartSpec& part : weight.specs) {
    const Bytes bytes = golden.data("expected." + part.name);
    weight.memory.emplace_back(bytes.begin(), bytes.end());
  }
  return weight;
}

// Stored forms that are only read are among them.
TEST(ProductOfTheLibrarysWeight, IsTheSumOverTheDecodedWeight) {
  if (method_under_test().products.empty() && !method_under_test().reads_products) return;
  for (const auto& path : golden_files()) {
    if (path.stem().string().find("gauss") == std::string::npos) continue;
    const Golden golden(path);
    if (golden.folder->without_product(golden.options)) continue;
    const StoredWeight weight = stored_weight(golden);
    for (const std::size_t batch : {1, 20}) {
      for (const DType activation : {DType::f32, DType::bf16}) {
        expect_product(weight, golden.folder->sums(golden.options), activation, batch, true);
        if (HasFatalFailure()) {
          ADD_FAILURE() << path.filename();
          return;
        }
      }
    }
  }
}

// Both sides round the sum and, in bfloat16, weights or steps of the sum.
void expect_the_librarys_product(const Golden& golden, std::size_t batch) {
  const TensorEntry& entry = *golden.file->find("forward.x");
  const StoredWeight weight = stored_weight(golden);
  const std::vector<float> decoded = weight.decoded();
  const std::vector<float> rows = as_floats(entry.dtype, golden.data("forward.x"));
  const std::vector<float> want = as_floats(entry.dtype, golden.data("forward.y"));
  Rows bias(entry.dtype, 1, weight.rows(), as_floats(entry.dtype, golden.data("input.bias")));
  Rows x(entry.dtype, batch, weight.columns(),
         {rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(batch * weight.columns())});
  Rows y(entry.dtype, batch, weight.rows());
  const Status status =
      Product(weight, entry.dtype, static_cast<int64_t>(batch), /*may_round=*/false)
          .forward(x, &bias, y);
  ASSERT_TRUE(status.ok()) << status.error().text();
  const double roundoff = golden.folder->sums_roundoff(golden.options, entry.dtype);
  const double activation_error = golden.folder->activation_error(golden.options);
  for (std::size_t i = 0; i < batch; ++i) {
    const std::vector<float> in = x.row(i), out = y.row(i);
    double largest = 0;
    for (const float value : in) largest = std::max(largest, std::abs(static_cast<double>(value)));
    for (std::size_t j = 0; j < weight.rows(); ++j) {
      double magnitude = std::abs(bias.row(0)[j]), sum = 0;
      for (std::size_t k = 0; k < in.size(); ++k) {
        const double w = std::abs(static_cast<double>(decoded[j * in.size() + k]));
        magnitude += std::abs(static_cast<double>(in[k])) * w;
        sum += w;
      }
      const double terms = static_cast<double>(in.size());
      const double bound = (4 * unit_roundoff(entry.dtype) + terms * roundoff) * magnitude +
                           activation_error * largest * sum;
      ASSERT_NEAR(out[j], want[i * weight.rows() + j], bound) << "[" << i << ", " << j << "]";
    }
  }
}

TEST(ProductOfTheLibrary, IsMetWithinItsRounding) {
  if (method_under_test().products.empty() && !method_under_test().reads_products) return;
  int compared = 0;
  for (const auto& path : golden_files()) {
    const Golden golden(path);
    if (golden.file->find("forward.x") == nullptr) continue;
    const auto rows = static_cast<std::size_t>(golden.file->find("forward.x")->shape[0]);
    for (const std::size_t batch : {std::size_t{1}, std::size_t{3}, std::size_t{32}, rows}) {
      if (batch <= rows) expect_the_librarys_product(golden, batch);
      if (HasFatalFailure()) {
        ADD_FAILURE() << path.filename() << ", batch " << batch;
        return;
      }
    }
    ++compared;
  }
  fmt::print("the library's products: {} compared\n", compared);
}

}  // namespace
}  // namespace precis
