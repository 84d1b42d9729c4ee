#include "runtime/modules/widened_products.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace precis {
namespace {

class WidenedProducts : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(5); }
  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
  // Of numbers that are all near one.
  double step() const { return GetParam() == at::kBFloat16 ? 1.0 / 128 : 1.0 / 1024; }

  void expect_rounded(const at::Tensor& y, const at::Tensor& exact) const {
    EXPECT_EQ(y.scalar_type(), GetParam());
    ASSERT_EQ(y.sizes(), exact.sizes());
    const at::Tensor error = (y.to(at::kDouble) - exact).abs();
    EXPECT_TRUE((error <= step() * exact.abs() + 1e-4).all().item<bool>())
        << error.max().item<double>();
  }

  c10::InferenceMode inference_;
};

INSTANTIATE_TEST_SUITE_P(Dtypes, WidenedProducts,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

// Two strips of the weight, and more rows of x than are widened at once.
TEST_P(WidenedProducts, LinearRoundsTheExactSumsOnce) {
  const at::Tensor weight = random({1100, 2000}), bias = random({1100});
  for (const int64_t rows : {0, 1, 2, 300}) {
    const at::Tensor x = random({rows, 2000});
    const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
    expect_rounded(widening_linear(x, weight, {}), exact);
    expect_rounded(widening_linear(x, weight, bias), exact + bias.to(at::kDouble));
  }
}

TEST_P(WidenedProducts, LinearTakesAnyShapeAndStride) {
  const at::Tensor weight = random({6, 10}).t();
  const at::Tensor x = random({6, 3, 2}).permute({1, 2, 0});
  const at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  expect_rounded(widening_linear(x, weight, {}), exact);
}

TEST_P(WidenedProducts, LinearOfTwoDtypesIsTheCallersMistake) {
  EXPECT_THROW(widening_linear(random({2, 4}), at::zeros({3, 4}, at::kDouble), {}), c10::Error);
}

TEST_P(WidenedProducts, ConvolutionFollowsItsOptions) {
  const at::Tensor x = random({2, 8, 11, 9}), weight = random({6, 4, 3, 3}), bias = random({6});
  const auto options =
      Conv2dOptions(8, 6, 3).stride({2, 1}).padding({1, 2}).dilation({1, 2}).groups(2);
  const at::Tensor exact = at::conv2d(x.to(at::kDouble), weight.to(at::kDouble),
                                      bias.to(at::kDouble), {2, 1}, {1, 2}, {1, 2}, 2);
  expect_rounded(widening_conv2d(x, weight, bias, options), exact);
  expect_rounded(widening_conv2d(x, weight, {}, options),
                 exact - bias.to(at::kDouble).view({6, 1, 1}));
}

}  // namespace
}  // namespace precis
