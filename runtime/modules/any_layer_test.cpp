#include "runtime/modules/any_layer.h"

#include <gtest/gtest.h>

#include "runtime/modules/quantized_layer.h"
#include "runtime/modules/without_weights.h"

namespace precis {
namespace {

struct Parent : torch::nn::Module {
  Parent() : fc(*this, "fc", torch::nn::Linear(3, 2)) {}
  AnyLayer fc;
};

// Answers with a constant, so that a test sees who was called.
struct Constant : QuantizedLayer {
  Constant() : QuantizedLayer({}) {}
  torch::Tensor forward(const torch::Tensor& input) override { return at::full_like(input, 7); }
  torch::Tensor dequantized_weight() const override { return at::ones({2, 3}); }
  void restore(const ModuleSite&, at::ScalarType) const override {}
};

TEST(AnyLayer, RegistersItsLayerUnderTheGivenName) {
  Parent parent;
  EXPECT_TRUE(parent.named_parameters().contains("fc.weight"));
  EXPECT_TRUE(parent.named_parameters().contains("fc.bias"));
}

TEST(AnyLayer, CallsTheLayer) {
  Parent parent;
  const torch::Tensor x = at::randn({4, 3});
  const auto layer = std::dynamic_pointer_cast<torch::nn::LinearImpl>(parent.fc.module());
  EXPECT_TRUE(at::equal(parent.fc(x), layer->forward(x)));
  EXPECT_TRUE(parent.fc.weight().is_same(layer->weight));
}

TEST(AnyLayer, CallsWhatReplacedTheLayerAndLetsTheLayerGo) {
  Parent parent;
  std::weak_ptr<torch::nn::Module> old = parent.fc.module();
  parent.replace_module("fc", std::make_shared<Constant>());
  EXPECT_TRUE(old.expired());
  EXPECT_EQ(parent.fc(at::zeros({1})).item<float>(), 7.0f);
  EXPECT_TRUE(at::equal(parent.fc.weight(), at::ones({2, 3})));
}

TEST(AnyLayer, TakesConvolutionsAndEmbeddings) {
  struct Both : torch::nn::Module {
    AnyLayer conv{*this, "conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 2, 3))};
    AnyLayer table{*this, "table", torch::nn::Embedding(5, 4)};
  } both;
  EXPECT_EQ(both.conv(at::zeros({1, 1, 8, 8})).sizes(), at::IntArrayRef({1, 2, 6, 6}));
  EXPECT_EQ(both.table(at::zeros({3}, at::kLong)).sizes(), at::IntArrayRef({3, 4}));
}

TEST(AnyLayer, WithoutWeightsHoldsShapesAlone) {
  const WithoutWeights without;
  Parent parent;
  const torch::Tensor weight = parent.fc.weight();
  EXPECT_EQ(weight.sizes(), at::IntArrayRef({2, 3}));
  EXPECT_EQ(weight.storage().nbytes(), sizeof(float));
}

TEST(AnyLayer, SaysWhatIsWrongWithAChildItCannotCall) {
  Parent parent;
  parent.replace_module("fc", std::make_shared<Parent>());
  EXPECT_THROW(parent.fc(at::zeros({1})), c10::Error);
  parent.unregister_module("fc");
  EXPECT_THROW(parent.fc(at::zeros({1})), c10::Error);
  EXPECT_THROW(AnyLayer()(at::zeros({1})), c10::Error);
}

}  // namespace
}  // namespace precis
