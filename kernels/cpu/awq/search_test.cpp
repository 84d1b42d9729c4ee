#include "kernels/cpu/awq/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace precis::kernels {
namespace {

// A layer whose first channels are weighty, fed by activations that depend on each other.
struct Problem {
  AwqShape shape;
  std::vector<float> weight, moments;

  Problem(uint64_t rows, uint64_t columns, uint64_t group_size)
      : shape{rows, columns, group_size}, weight(rows * columns), moments(columns * columns, 0) {
    std::mt19937 engine(11);
    std::normal_distribution<float> normal;
    for (float& value : weight) value = 0.05f * normal(engine);
    for (uint64_t sample = 0; sample < 200; ++sample) {
      std::vector<float> x(columns);
      const float shared = normal(engine);
      for (uint64_t i = 0; i < columns; ++i)
        x[i] = (normal(engine) + 0.5f * shared) * (i % 19 == 0 ? 8.0f : 1.0f);
      for (uint64_t i = 0; i < columns; ++i) {
        for (uint64_t j = 0; j < columns; ++j) moments[i * columns + j] += x[i] * x[j];
      }
    }
  }

  AwqSearch search() const { return {WeightType::f32, weight.data(), shape, moments.data()}; }

  // e H e^T in double, for what `decoded` stands for.
  double loss(const std::vector<float>& decoded, const std::vector<float>& scales) const {
    double sum = 0;
    const uint64_t n = shape.columns;
    for (uint64_t row = 0; row < shape.rows; ++row) {
      std::vector<double> error(n);
      for (uint64_t i = 0; i < n; ++i)
        error[i] = double{decoded[row * n + i]} / scales[i] - weight[row * n + i];
      for (uint64_t i = 0; i < n; ++i) {
        for (uint64_t j = 0; j < n; ++j) sum += error[i] * moments[i * n + j] * error[j];
      }
    }
    return sum;
  }
};

class AwqSearchTest : public testing::Test {
 protected:
  void* scratch() {
    memory_.resize(awq_search_scratch(problem_.shape) + 64);
    void* aligned = memory_.data();
    std::size_t space = memory_.size();
    return std::align(64, awq_search_scratch(problem_.shape), aligned, space);
  }
  // Rows 0 to 32, then the ragged rest.
  double rounding_loss(const std::vector<float>& scales, Isa isa) {
    return awq_search_kernels(isa).loss(problem_.search(), scales.data(), 0, 32, scratch()) +
           awq_search_kernels(isa).loss(problem_.search(), scales.data(), 32, 8, scratch());
  }
  // What the stored form of `numbers` decodes to.
  std::vector<float> round_trip(const std::vector<float>& numbers) {
    const AwqShape& shape = problem_.shape;
    std::vector<uint32_t> codes(shape.columns * shape.rows / 8), zeros(shape.groups() * shape.rows);
    std::vector<uint16_t> scales(shape.groups() * shape.rows);
    awq_kernels(Isa::baseline)
        .quantize(WeightType::f32, numbers.data(), AwqLayout::gemm, shape, 0, shape.rows,
                  codes.data(), zeros.data(), scales.data());
    std::vector<float> decoded(numbers.size());
    awq_kernels(Isa::baseline)
        .dequantize(AwqLayout::gemm, shape, codes.data(), zeros.data(), WeightType::f16,
                    scales.data(), 0, shape.rows, WeightType::f32, decoded.data());
    return decoded;
  }
  std::vector<float> scaled_and_clipped(const std::vector<float>& scales, bool clip) {
    std::vector<float> out(problem_.weight.size());
    for (const auto& [row, rows] : {std::pair{0u, 32u}, std::pair{32u, 8u}}) {
      awq_search_kernels(current_isa())
          .scale_and_clip(problem_.search(), scales.data(), clip, row, rows, scratch(),
                          out.data() + row * problem_.shape.columns);
    }
    return out;
  }

  Problem problem_{40, 128, 32};
  std::vector<float> ones_ = std::vector<float>(128, 1);
  std::vector<unsigned char> memory_;
};

TEST_F(AwqSearchTest, LossIsThatOfTheStoredForm) {
  const double expected = problem_.loss(round_trip(problem_.weight), ones_);
  for (const Isa isa : machine_isas()) {
    // The stored form rounds every step to float16; the search only the scales.
    EXPECT_NEAR(rounding_loss(ones_, isa) / expected, 1, 0.05) << isa_name(isa);
  }
}

TEST_F(AwqSearchTest, DecodedLossIsTheDoubleSum) {
  std::vector<float> scales(128);
  for (uint64_t i = 0; i < 128; ++i) scales[i] = i % 19 == 0 ? 2.0f : 0.8f;
  const auto decoded = round_trip(scaled_and_clipped(scales, false));
  const double got =
      awq_search_kernels(current_isa())
          .decoded_loss(problem_.search(), scales.data(), decoded.data(), 0, 32, scratch()) +
      awq_search_kernels(current_isa())
          .decoded_loss(problem_.search(), scales.data(), decoded.data() + 32 * 128, 32, 8,
                        scratch());
  EXPECT_NEAR(got / problem_.loss(decoded, scales), 1, 1e-3);
}

TEST_F(AwqSearchTest, ScalesForWeightyChannelsLoseLess) {
  std::vector<float> scales(128);
  for (uint64_t i = 0; i < 128; ++i) scales[i] = i % 19 == 0 ? 2.0f : 1.0f;
  EXPECT_LT(rounding_loss(scales, current_isa()), rounding_loss(ones_, current_isa()));
}

TEST_F(AwqSearchTest, ClippingLosesLessAndOnlyClips) {
  const auto clipped = scaled_and_clipped(ones_, true);
  for (std::size_t i = 0; i < clipped.size(); ++i) {
    ASSERT_LE(std::abs(clipped[i]), std::abs(problem_.weight[i]));
    ASSERT_GE(clipped[i] * problem_.weight[i], 0);
  }
  EXPECT_LT(problem_.loss(round_trip(clipped), ones_),
            problem_.loss(round_trip(problem_.weight), ones_));
  EXPECT_EQ(scaled_and_clipped(ones_, false), problem_.weight);
}

}  // namespace
}  // namespace precis::kernels
