// Every recorded output of a method's Python library, reproduced through its plugin: planned names,
// dtypes and shapes, encoded bytes, decoded values. tests/oracle/README.md says what the files
// hold.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/engine/logical_tensor.h"
#include "tests/method/golden.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

// FP4 has two codes for zero, and bitsandbytes' table gives both +0.
void expect_same_values(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    ASSERT_EQ(got[i], want[i]) << "decoded, at " << i;
  }
}

// Decodes the library's own tensors in the library's own dtype, all at once and row by row.
void expect_decodes(const Golden& golden, const Quantizer& quantizer, std::vector<PartSpec> specs) {
  const TensorEntry* decoded = golden.file->find("dequantized.weight");
  if (decoded == nullptr) return;
  std::vector<Bytes> stored;
  for (PartSpec& spec : specs) {
    stored.push_back(golden.data("expected." + spec.name));
    spec.nbytes = stored.back().size();
  }
  const std::vector<float> want = as_floats(decoded->dtype, golden.data("dequantized.weight"));
  const std::size_t row_bytes = golden.param.row_elements() * dtype_bits(decoded->dtype) / 8;
  const int64_t rows = golden.param.rows();
  for (const int64_t step : {rows, int64_t{1}}) {
    std::vector<std::byte> got(static_cast<std::size_t>(rows) * row_bytes, std::byte{0xa5});
    for (int64_t row = 0; row < rows; row += step) {
      const auto slice = std::span(got).subspan(static_cast<std::size_t>(row) * row_bytes,
                                                static_cast<std::size_t>(step) * row_bytes);
      const Status status =
          quantizer.dequantize(golden.param, specs, stored, row, step, decoded->dtype, slice);
      ASSERT_TRUE(status.ok()) << status.error().text();
    }
    expect_same_values(as_floats(decoded->dtype, got), want);
  }
}

void expect_as_planned(const Golden& golden, const PartSpec& spec) {
  const TensorEntry* expected = golden.file->find("expected." + spec.name);
  ASSERT_NE(expected, nullptr) << spec.name;
  if (golden.folder->opaque_parts) return;
  EXPECT_EQ(spec.dtype, expected->dtype) << spec.name;
  if (golden.folder->same_part) return;
  EXPECT_EQ(spec.shape, expected->shape) << spec.name;
}

double mean_error(const Golden& golden, const Quantizer& quantizer,
                  const std::vector<PartSpec>& specs, const std::vector<Bytes>& parts) {
  const std::vector<float> weight = as_floats(golden.param.dtype, golden.data("input.weight"));
  std::vector<float> decoded(weight.size());
  const Status status =
      quantizer.dequantize(golden.param, specs, parts, 0, golden.param.rows(), DType::f32,
                           std::as_writable_bytes(std::span(decoded)));
  EXPECT_TRUE(status.ok()) << status.error().text();
  double sum = 0;
  for (std::size_t i = 0; i < weight.size(); ++i)
    sum += std::abs(static_cast<double>(weight[i]) - decoded[i]);
  return sum / static_cast<double>(weight.size());
}

// No worse than the library by more than the roundings of its sums.
void expect_as_good(const Golden& golden, const Quantizer& quantizer,
                    const std::vector<PartSpec>& specs,
                    const std::vector<std::span<std::byte>>& parts) {
  std::vector<Bytes> theirs;
  for (const PartSpec& spec : specs) theirs.push_back(golden.data("expected." + spec.name));
  const double error =
      mean_error(golden, quantizer, specs, std::vector<Bytes>(parts.begin(), parts.end()));
  const double want = mean_error(golden, quantizer, specs, theirs);
  EXPECT_LE(error, want * (1 + 1e-4));
  EXPECT_GE(error, want * (1 - 1e-2)) << "the fit is not the library's";
}

void expect_encodes(const Golden& golden, const Quantizer& quantizer, const PartPlan& plan) {
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::span<std::byte>> parts;
  for (const PartSpec& spec : plan.parts) {
    ASSERT_NO_FATAL_FAILURE(expect_as_planned(golden, spec));
    memory.emplace_back(spec.nbytes, std::byte{0xa5});
  }
  for (auto& part : memory) parts.emplace_back(part);
  std::vector<std::byte> workspace(plan.workspace_bytes);
  const Status encoded = quantizer.quantize(golden.param, golden.data("input.weight"), plan.parts,
                                            parts, workspace, nullptr);
  ASSERT_TRUE(encoded.ok()) << encoded.error().text();
  if (golden.folder->fitted(golden.options))
    return expect_as_good(golden, quantizer, plan.parts, parts);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto compare = golden.folder->same_part ? golden.folder->same_part : same_numbers;
    compare(plan.parts[i], parts[i], golden.data("expected." + plan.parts[i].name));
  }
}

class GoldenTest : public testing::TestWithParam<fs::path> {};

TEST_P(GoldenTest, EncodesAndDecodesAsTheLibraryDoes) {
  const Golden golden(GetParam());
  auto quantizer = test_resolver(false).from_spec(golden.spec(), "");
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  auto plan = (*quantizer)->plan(golden.param);
  if (golden.folder->read_only) {
    if (const auto parts = golden.folder->read_only(golden.options, golden.param)) {
      ASSERT_FALSE(plan.ok());
      // Not at all, or not from the weights alone.
      EXPECT_TRUE(plan.error().code() == ErrorCode::unsupported ||
                  plan.error().code() == ErrorCode::failed_precondition)
          << plan.error().text();
      return expect_decodes(golden, **quantizer, *parts);
    }
  }
  ASSERT_TRUE(plan.ok()) << plan.error().text();
  if (!golden.folder->decodes_only) expect_encodes(golden, **quantizer, *plan);
  expect_decodes(golden, **quantizer, plan->parts);
}

// Half of the codes, and the codes alone: an error that blames the data, and no byte read beyond.
TEST_P(GoldenTest, RefusesPartsSmallerThanTheShapeNeeds) {
  const Golden golden(GetParam());
  auto quantizer = test_resolver(false).from_spec(golden.spec(), "");
  ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
  auto plan = (*quantizer)->plan(golden.param);
  if (!plan.ok()) return;  // what is only read has no plan to take the parts from
  std::vector<std::byte> out(golden.param.elements() * sizeof(float));
  std::vector<PartSpec> specs = plan->parts;
  std::vector<std::vector<std::byte>> exact;
  for (PartSpec& spec : specs) {
    const Bytes stored = golden.data("expected." + spec.name);
    exact.emplace_back(stored.begin(), stored.end());
    spec.nbytes = stored.size();
  }
  specs[0].shape = {static_cast<int64_t>(specs[0].nbytes / 2 / (dtype_bits(specs[0].dtype) / 8))};
  specs[0].nbytes /= 2;
  exact[0].resize(specs[0].nbytes);
  exact[0].shrink_to_fit();
  std::vector<Bytes> parts(exact.begin(), exact.end());
  const auto decode = [&](std::size_t count) {
    return (*quantizer)
        ->dequantize(golden.param, std::span(specs).first(count), std::span(parts).first(count), 0,
                     golden.param.rows(), DType::f32, out);
  };
  for (const std::size_t count : {specs.size(), std::size_t{1}}) {
    const Status status = decode(count);
    ASSERT_FALSE(status.ok()) << "with " << count << " parts";
    EXPECT_TRUE(status.error().code() == ErrorCode::data_loss ||
                status.error().code() == ErrorCode::invalid_argument)
        << status.error().text();
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenTest);
INSTANTIATE_TEST_SUITE_P(Oracle, GoldenTest, testing::ValuesIn(golden_files()),
                         [](const auto& info) { return golden_name(info.param); });

}  // namespace

std::vector<float> as_floats(DType dtype, Bytes bytes) {
  std::vector<float> values(bytes.size() * 8 / dtype_bits(dtype));
  EXPECT_TRUE(convert_to_float(dtype, bytes.data(), values.size(), values.data()));
  return values;
}

void same_numbers(const PartSpec& part, Bytes got, Bytes want) {
  ASSERT_EQ(got.size(), want.size()) << part.name;
  const bool float8 = part.dtype == DType::f8_e4m3fn || part.dtype == DType::f8_e5m2;
  std::vector<float> numbers, expected;
  if (float8 || is_floating(part.dtype)) {
    numbers = as_floats(part.dtype, got);
    expected = as_floats(part.dtype, want);
  }
  const std::size_t width = dtype_bits(part.dtype) / 8;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!numbers.empty()) {
      const float number = numbers[i / width], other = expected[i / width];
      if (std::isnan(number) && std::isnan(other)) continue;
      // A scale of zero has the sign of whichever zero a vectorised minimum met first.
      if (!float8 && number == 0 && other == 0) continue;
    }
    ASSERT_EQ(got[i], want[i]) << part.name << " at byte " << i;
  }
}

}  // namespace precis
