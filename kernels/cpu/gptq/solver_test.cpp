#include "kernels/cpu/gptq/solver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cpu/calibration/cholesky.h"

namespace precis::kernels {
namespace {

const ParallelFor kInOnePiece = [](uint64_t n, const Pieces& body) { body(0, n); };

// A layer, and the damped second moments of activations with heavy channels that depend on each
// other.
struct Problem {
  GptqShape shape;
  std::vector<float> weight;
  std::vector<double> moments;  // without damping
  double damping = 0;

  Problem(uint64_t rows, uint64_t columns, uint64_t group_size, unsigned seed)
      : shape{rows, columns, group_size}, weight(rows * columns), moments(columns * columns, 0) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    for (float& value : weight) value = 0.05f * normal(engine);
    for (uint64_t sample = 0; sample < 2 * columns; ++sample) {
      std::vector<float> x(columns);
      const float shared = normal(engine);
      for (uint64_t i = 0; i < columns; ++i)
        x[i] = (normal(engine) + 0.7f * shared) * (i % 17 == 3 ? 6.0f : 1.0f);
      for (uint64_t i = 0; i < columns; ++i) {
        for (uint64_t j = 0; j < columns; ++j) moments[i * columns + j] += double{x[i]} * x[j];
      }
    }
    for (uint64_t i = 0; i < columns; ++i) damping += moments[i * columns + i];
    damping *= 0.01 / static_cast<double>(columns);
  }

  double loss(const std::vector<float>& decoded) const {
    double sum = 0;
    const uint64_t n = shape.columns;
    for (uint64_t row = 0; row < shape.rows; ++row) {
      for (uint64_t i = 0; i < n; ++i) {
        const double error = weight[row * n + i] - decoded[row * n + i];
        for (uint64_t j = 0; j < n; ++j)
          sum += error * moments[i * n + j] * (weight[row * n + j] - decoded[row * n + j]);
      }
    }
    return sum;
  }
};

struct Stored {
  std::vector<uint32_t> qweight, qzeros;
  std::vector<uint16_t> scales;
  explicit Stored(const Problem& problem, const GptqFormat& format)
      : qweight(problem.shape.columns * static_cast<uint64_t>(format.bits) / 32 *
                problem.shape.rows),
        qzeros(problem.shape.groups() * problem.shape.rows / 32 *
               static_cast<uint64_t>(format.bits)),
        scales(problem.shape.groups() * problem.shape.rows) {}

  std::vector<float> decode(const Problem& problem, const GptqFormat& format,
                            const std::vector<int32_t>& groups) const {
    std::vector<float> out(problem.weight.size());
    gptq_kernels(Isa::baseline)
        .dequantize(format, problem.shape, qweight.data(), qzeros.data(), WeightType::f16,
                    scales.data(), groups.data(), 0, problem.shape.rows, WeightType::f32,
                    out.data());
    return out;
  }
};

struct Choice {
  int bits = 4;
  bool symmetric = true;
  uint64_t group_size = 32;
  bool by_activation = false;  // desc_act
  bool static_groups = false;
};

struct Order {
  std::vector<uint32_t> order, group_of;
  std::vector<int32_t> group_of_column;
};

Order order_of(const Problem& problem, const Choice& choice) {
  const uint64_t n = problem.shape.columns;
  Order result{std::vector<uint32_t>(n), std::vector<uint32_t>(n), std::vector<int32_t>(n)};
  std::iota(result.order.begin(), result.order.end(), 0);
  if (choice.by_activation) {
    std::stable_sort(result.order.begin(), result.order.end(), [&](uint32_t a, uint32_t b) {
      return problem.moments[a * n + a] > problem.moments[b * n + b];
    });
  }
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t of = choice.static_groups ? result.order[i] : i;
    result.group_of[i] = static_cast<uint32_t>(of / problem.shape.group_size);
    result.group_of_column[result.order[i]] = static_cast<int32_t>(result.group_of[i]);
  }
  return result;
}

// Scale and zero point of one row's group, in double but for the stored scale.
std::pair<double, double> parameters(const std::vector<double>& values, const Choice& choice) {
  double low = 0, high = 0;
  for (const double value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (choice.symmetric) low = -(high = std::max(high, -low));
  const double levels = (1 << choice.bits) - 1;
  const double scale = half_to_float(float_to_half(static_cast<float>((high - low) / levels)));
  return {scale, choice.symmetric ? (levels + 1) / 2 : std::nearbyint(-low / scale)};
}

// The method as the paper's first equations have it: the inverse second moments, from which each
// rounded column is eliminated. No factorisation, no blocks, all in double.
std::vector<float> eliminate(const Problem& problem, const Choice& choice, const Order& order) {
  const uint64_t n = problem.shape.columns;
  std::vector<double> inverse(n * n, 0), matrix(n * n);
  for (uint64_t i = 0; i < n; ++i) {
    inverse[i * n + i] = 1;
    for (uint64_t j = 0; j < n; ++j)
      matrix[i * n + j] = problem.moments[uint64_t{order.order[i]} * n + order.order[j]] +
                          (i == j ? problem.damping : 0);
  }
  for (uint64_t p = 0; p < n; ++p) {
    const double pivot = matrix[p * n + p];
    for (uint64_t j = 0; j < n; ++j) {
      matrix[p * n + j] /= pivot;
      inverse[p * n + j] /= pivot;
    }
    for (uint64_t i = 0; i < n; ++i) {
      const double multiple = matrix[i * n + p];
      if (i == p || multiple == 0) continue;
      for (uint64_t j = 0; j < n; ++j) {
        matrix[i * n + j] -= multiple * matrix[p * n + j];
        inverse[i * n + j] -= multiple * inverse[p * n + j];
      }
    }
  }
  const uint64_t rows = problem.shape.rows;
  const double levels = (1 << choice.bits) - 1;
  std::vector<double> w(rows * n);
  std::vector<std::pair<double, double>> found(rows * problem.shape.groups());
  const auto find = [&](uint64_t row, uint32_t group) {
    std::vector<double> values;
    for (uint64_t j = 0; j < n; ++j) {
      if (order.group_of[j] == group) values.push_back(w[row * n + j]);
    }
    found[row * problem.shape.groups() + group] = parameters(values, choice);
  };
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t i = 0; i < n; ++i) w[row * n + i] = problem.weight[row * n + order.order[i]];
    for (uint32_t group = 0; choice.static_groups && group < problem.shape.groups(); ++group)
      find(row, group);
  }
  std::vector<float> decoded(rows * n);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t row = 0; row < rows; ++row) {
      const uint32_t group = order.group_of[i];
      if (!choice.static_groups && (i == 0 || group != order.group_of[i - 1])) find(row, group);
      const auto [scale, zero] = found[row * problem.shape.groups() + group];
      const double code =
          std::clamp(std::nearbyint(w[row * n + i] / scale) + zero, 0.0, levels) - zero;
      decoded[row * n + order.order[i]] = static_cast<float>(scale * code);
      const double error = (w[row * n + i] - scale * code) / inverse[i * n + i];
      for (uint64_t j = i; j < n; ++j) w[row * n + j] -= error * inverse[i * n + j];
    }
    const std::vector<double> row_i(inverse.begin() + static_cast<std::ptrdiff_t>(i * n),
                                    inverse.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
    for (uint64_t p = i + 1; p < n; ++p) {
      const double multiple = row_i[p] / row_i[i];
      for (uint64_t q = i + 1; q < n; ++q) inverse[p * n + q] -= multiple * row_i[q];
    }
  }
  return decoded;
}

struct Solved {
  std::vector<float> decoded;
  double reported = 0;
};

Solved solve(const Problem& problem, const Choice& choice, const Order& order, Isa isa) {
  const uint64_t n = problem.shape.columns;
  std::vector<float> factor(n * n), scratch(inverse_factor_scratch(n));
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = i; j < n; ++j) {
      const uint64_t row = order.order[n - 1 - i], column = order.order[n - 1 - j];
      factor[i * n + j] = static_cast<float>(problem.moments[row * n + column] +
                                             (row == column ? problem.damping : 0));
    }
  }
  EXPECT_TRUE(inverse_factor(factor.data(), n, scratch.data(), kInOnePiece));
  const GptqFormat format{choice.bits, false, false};
  Stored stored(problem, format);
  const GptqSolve task{format,
                       choice.symmetric,
                       problem.shape,
                       factor.data(),
                       order.order.data(),
                       order.group_of.data(),
                       choice.static_groups,
                       static_cast<float>(problem.damping)};
  std::vector<uint64_t> memory(gptq_scratch(problem.shape) / 8 + 8);
  void* aligned = memory.data();
  std::size_t space = memory.size() * 8;
  std::align(64, gptq_scratch(problem.shape), aligned, space);
  Solved result;
  for (uint64_t row = 0; row < problem.shape.rows; row += 32) {
    result.reported += gptq_solver_kernels(isa).solve(WeightType::f32, problem.weight.data(), task,
                                                      row, aligned, stored.qweight.data(),
                                                      stored.qzeros.data(), stored.scales.data());
  }
  result.decoded = stored.decode(problem, format, order.group_of_column);
  return result;
}

class Solver : public testing::TestWithParam<Choice> {};

TEST_P(Solver, EqualsEliminationInDouble) {
  const Choice choice = GetParam();
  const uint64_t columns = 288;  // two whole blocks and a ragged one
  const Problem problem(32, columns, std::min(choice.group_size, columns), 5);
  const Order order = order_of(problem, choice);
  const std::vector<float> expected = eliminate(problem, choice, order);
  for (const Isa isa : machine_isas()) {
    const Solved got = solve(problem, choice, order, isa);
    // A rounding that tips over in float32 leads that row elsewhere, to a result as good.
    EXPECT_NEAR(problem.loss(got.decoded) / problem.loss(expected), 1, 0.02) << isa_name(isa);
    EXPECT_NEAR(got.reported / problem.loss(got.decoded), 1, 0.01) << isa_name(isa);
    std::size_t same = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
      same += std::abs(got.decoded[i] - expected[i]) < 1e-3f * std::abs(expected[i]) + 1e-7f;
    EXPECT_GT(same, expected.size() * 9 / 10) << isa_name(isa);
  }
}

TEST_P(Solver, LosesLessThanRoundingToNearest) {
  const Choice choice = GetParam();
  const Problem problem(64, 256, std::min<uint64_t>(choice.group_size, 256), 6);
  const Order order = order_of(problem, choice);
  const GptqFormat format{choice.bits, false, false};
  Stored nearest(problem, format);
  gptq_kernels(Isa::baseline)
      .quantize(WeightType::f32, problem.weight.data(), format, choice.symmetric, problem.shape, 0,
                64, nearest.qweight.data(), nearest.qzeros.data(), nearest.scales.data());
  std::vector<int32_t> in_order(256);
  for (uint64_t i = 0; i < 256; ++i)
    in_order[i] = static_cast<int32_t>(i / problem.shape.group_size);
  const double rounding = problem.loss(nearest.decode(problem, format, in_order));
  EXPECT_LT(problem.loss(solve(problem, choice, order, current_isa()).decoded), 0.7 * rounding);
}

INSTANTIATE_TEST_SUITE_P(
    Choices, Solver,
    testing::Values(Choice{}, Choice{.bits = 2, .symmetric = false}, Choice{.bits = 3},
                    Choice{.bits = 8, .group_size = 128}, Choice{.group_size = 1u << 20},
                    Choice{.symmetric = false, .group_size = 96},
                    Choice{.bits = 3, .by_activation = true},
                    Choice{.by_activation = true, .static_groups = true},
                    Choice{.symmetric = false, .group_size = 128, .by_activation = true}));

TEST(Solver, WithoutCorrelationsIsRoundingToNearest) {
  Problem problem(32, 64, 32, 7);
  problem.moments.assign(64 * 64, 0);
  for (uint64_t i = 0; i < 64; ++i) problem.moments[i * 65] = 1;
  const Choice choice{.symmetric = false};
  const GptqFormat format{4, false, false};
  Stored nearest(problem, format);
  gptq_kernels(Isa::baseline)
      .quantize(WeightType::f32, problem.weight.data(), format, false, problem.shape, 0, 32,
                nearest.qweight.data(), nearest.qzeros.data(), nearest.scales.data());
  const Order order = order_of(problem, choice);
  const auto expected = nearest.decode(problem, format, order.group_of_column);
  const auto got = solve(problem, choice, order, current_isa()).decoded;
  std::size_t same = 0;
  // A weight halfway between two codes may go either way: scales are rounded to float16 first.
  for (std::size_t i = 0; i < got.size(); ++i) same += got[i] == expected[i];
  EXPECT_GT(same, got.size() * 99 / 100);
}

TEST(Solver, ZeroRowsAndConstantGroupsStayFinite) {
  Problem problem(32, 64, 32, 8);
  std::fill(problem.weight.begin(), problem.weight.begin() + 64 * 8, 0.0f);
  std::fill(problem.weight.begin() + 64 * 8, problem.weight.begin() + 64 * 16, 1e-9f);
  std::fill(problem.weight.begin() + 64 * 16, problem.weight.begin() + 64 * 24, 1e3f);
  for (const bool symmetric : {true, false}) {
    const Choice choice{.symmetric = symmetric};
    const auto got = solve(problem, choice, order_of(problem, choice), current_isa()).decoded;
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_TRUE(std::isfinite(got[i])) << i;
    EXPECT_EQ(got[0], 0);
  }
}

}  // namespace
}  // namespace precis::kernels
