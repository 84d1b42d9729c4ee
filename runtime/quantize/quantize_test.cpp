#include "runtime/quantize/quantize.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "runtime/modules/any_layer.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/quantize/activations.h"
#include "runtime/test_plugins.h"

namespace precis {
namespace {

struct Block : torch::nn::Module {
  Block()
      : fc1(*this, "fc1", torch::nn::Linear(64, 128)),
        fc2(*this, "fc2", torch::nn::Linear(128, 64)) {}
  torch::Tensor forward(const torch::Tensor& x) { return fc2(fc1(x)); }
  AnyLayer fc1, fc2;
};

// A tree with every way of holding layers that replacement reaches.
struct Model : torch::nn::Module {
  Model() {
    for (int i = 0; i < 2; ++i) blocks->push_back(std::make_shared<Block>());
    register_module("blocks", blocks);
    register_module("tail", tail);
  }
  torch::Tensor forward(torch::Tensor x) {
    for (const auto& block : *blocks) x = block->as<Block>()->forward(x);
    return tail->forward(x);
  }
  torch::nn::ModuleList blocks;
  torch::nn::Sequential tail{torch::nn::Linear(64, 64), torch::nn::Linear(64, 8)};
};

QuantizeOptions options(const std::string& config) {
  QuantizeOptions made;
  made.config = config;
  return made;
}

std::shared_ptr<torch::nn::Module> at_path(torch::nn::Module& root, const std::string& path) {
  for (const ModuleSite& site : module_sites(root)) {
    if (site.path == path) return site.module();
  }
  throw std::runtime_error("no module " + path);
}

bool is_quantized(torch::nn::Module& root, const std::string& path) {
  return at_path(root, path)->as<QuantizedLinear>() != nullptr;
}

double relative(const torch::Tensor& got, const torch::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

TEST(Quantize, ReplacesEveryLinearAndTheModelGoesOnComputing) {
  const at::NoGradGuard no_grad;
  Model model;
  const torch::Tensor x = at::randn({5, 64}), want = model.forward(x);
  const auto done = quantize(model, options("int8"), test_plugins());
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(done->size(), 6u);
  for (const LayerChoice& layer : *done) {
    EXPECT_TRUE(is_quantized(model, layer.site.path)) << layer.site.path;
    EXPECT_LT(layer.bytes_after, layer.bytes_before / 3);
  }
  const torch::Tensor got = model.forward(x);
  EXPECT_GT(relative(got, want), 1e-6);  // the quantized layers are the ones that are called
  EXPECT_LT(relative(got, want), 0.1);
}

TEST(Quantize, MixesMethodsByRules) {
  Model model;
  QuantizeOptions mixed = options("qint8");
  mixed.rules = {{"blocks.0", "nf4"}};
  mixed.skips = {"tail.1"};
  const auto done = quantize(model, mixed, test_plugins());
  ASSERT_TRUE(done.ok()) << done.error().text();
  const auto plugin = [&](const std::string& path) {
    return at_path(model, path)->as<QuantizedLinear>()->weight().quantizer->plugin_id();
  };
  EXPECT_EQ(plugin("blocks.0.fc1"), "bitsandbytes");
  EXPECT_EQ(plugin("blocks.1.fc1"), "quanto");
  EXPECT_FALSE(is_quantized(model, "tail.1"));
  EXPECT_NE(done->back().reason.find("tail.1"), std::string::npos);
}

TEST(Quantize, KeepsWhatTheConfigLists) {
  Model model;
  const auto done = quantize(
      model,
      options(
          R"({"quant_method": "quanto", "weights_dtype": "int8", "modules_to_not_convert": ["tail"]})"),
      test_plugins());
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_FALSE(is_quantized(model, "tail.0"));
  EXPECT_TRUE(is_quantized(model, "blocks.0.fc1"));
}

TEST(Quantize, LetsTheFloatWeightsGo) {
  Model model;
  const std::weak_ptr<torch::nn::Module> layer = at_path(model, "blocks.0.fc1");
  ASSERT_TRUE(quantize(model, options("nf4"), test_plugins()).ok());
  EXPECT_TRUE(layer.expired());
}

TEST(Quantize, RefusesALayerThatAMemberHoldsBeforeAnythingIsReplaced) {
  struct Typed : Model {
    Typed() { fc = register_module("fc", torch::nn::Linear(64, 64)); }
    torch::nn::Linear fc{nullptr};
  } model;
  const auto done = quantize(model, options("nf4"), test_plugins());
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().text().find("'fc'"), std::string::npos);
  EXPECT_NE(done.error().hint().find("AnyLayer"), std::string::npos);
  EXPECT_FALSE(is_quantized(model, "blocks.0.fc1"));
}

TEST(Quantize, MistakesAreFoundBeforeAnythingIsReplaced) {
  Model model;
  QuantizeOptions rule = options("nf4");
  rule.rules = {{"no_such_layer", "q8_0"}};
  EXPECT_EQ(quantize(model, rule, test_plugins()).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(quantize(model, options("fp8"), test_plugins()).error().code(), ErrorCode::unsupported);
  EXPECT_FALSE(quantize(model, options("no_such_method"), test_plugins()).ok());
  for (const ModuleSite& site : module_sites(model)) EXPECT_FALSE(is_quantized(model, site.path));
}

struct Picture : torch::nn::Module {
  Picture()
      : table(*this, "table", torch::nn::Embedding(40, 64)),
        conv(*this, "conv",
             torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 8, 3).stride(2).padding(1).groups(2))) {}
  torch::Tensor forward(const torch::Tensor& indices) {
    return conv(table(indices).view({-1, 4, 8, 8}));
  }
  AnyLayer table, conv;
};

TEST(Quantize, ARuleReachesConvolutionsAndEmbeddings) {
  const at::NoGradGuard no_grad;
  Picture model;
  const torch::Tensor indices = at::randint(40, {3, 4}), want = model.forward(indices);
  QuantizeOptions rules = options("qint8");
  rules.rules = {{"table", "nf4"}, {"conv", "qint8"}};
  const auto done = quantize(model, rules, test_plugins());
  ASSERT_TRUE(done.ok()) << done.error().text();
  for (const LayerChoice& layer : *done) {
    EXPECT_NE(layer.quantizer, nullptr) << layer.site.path;
    EXPECT_NE(at_path(model, layer.site.path)->as<QuantizedLayer>(), nullptr);
  }
  const torch::Tensor got = model.forward(indices);
  EXPECT_EQ(got.sizes(), want.sizes());
  EXPECT_LT(relative(got, want), 0.2);
  // Exactly the layers with the decoded weights.
  ASSERT_EQ(*dequantize(model), 2u);
  EXPECT_TRUE(at::equal(model.forward(indices), got));
}

TEST(Quantize, WithoutARuleConvolutionsAndEmbeddingsStayAsTheyAre) {
  Picture model;
  ASSERT_TRUE(quantize(model, options("qint8"), test_plugins()).ok());
  EXPECT_EQ(at_path(model, "table")->as<QuantizedLayer>(), nullptr);
  EXPECT_EQ(at_path(model, "conv")->as<QuantizedLayer>(), nullptr);
}

TEST(Requantize, GivesQuantizedLayersAnotherMethod) {
  const at::NoGradGuard no_grad;
  Model model;
  QuantizeOptions first = options("qint8");
  first.skips = {"tail"};
  ASSERT_TRUE(quantize(model, first, test_plugins()).ok());
  const torch::Tensor x = at::randn({5, 64}), want = model.forward(x);
  QuantizeOptions second = options("nf4");
  second.skips = {"blocks.1"};
  const auto done = requantize(model, second, test_plugins());
  ASSERT_TRUE(done.ok()) << done.error().text();
  const auto plugin = [&](const std::string& path) {
    return at_path(model, path)->as<QuantizedLayer>()->weight().quantizer->plugin_id();
  };
  EXPECT_EQ(plugin("blocks.0.fc1"), "bitsandbytes");
  EXPECT_EQ(plugin("blocks.1.fc1"), "quanto");
  EXPECT_EQ(plugin("tail.0"), "bitsandbytes");
  EXPECT_LT(relative(model.forward(x), want), 0.3);
}

TEST(Freeze, EncodesTheWeightsAsTheyThenAre) {
  const at::NoGradGuard no_grad;
  Model model;
  QuantizeOptions later = options("qint8");
  later.freeze = false;
  ASSERT_TRUE(quantize(model, later, test_plugins()).ok());
  EXPECT_TRUE(model.named_parameters().contains("tail.0.weight"));
  const torch::Tensor x = at::randn({5, 64}), before = model.forward(x);
  model.named_parameters()["tail.0.weight"].mul_(2);
  const torch::Tensor want = model.forward(x);
  EXPECT_GT(relative(want, before), 0.1);
  const auto count = freeze(model);
  ASSERT_TRUE(count.ok()) << count.error().text();
  EXPECT_EQ(*count, 6u);
  EXPECT_TRUE(at::equal(model.forward(x), want));
  EXPECT_FALSE(model.named_parameters().contains("tail.0.weight"));
}

TEST(Activations, AreMeasuredWhileACalibrationLives) {
  const at::NoGradGuard no_grad;
  Model model;
  ASSERT_TRUE(quantize(model, options("qint8"), test_plugins()).ok());
  ASSERT_EQ(*quantize_activations(model, {}), 6u);
  const torch::Tensor x = at::randn({5, 64});
  {
    const Calibration calibration;
    model.forward(x);
    EXPECT_THROW(Calibration(), c10::Error);
  }
  const float largest = x.abs().max().item<float>();
  const auto scale = model.named_buffers()["blocks.0.fc1.input_scale"];
  EXPECT_FLOAT_EQ(scale.item<float>(), largest / 127);
  model.forward(4 * x);
  EXPECT_FLOAT_EQ(scale.item<float>(), largest / 127);
}

TEST(Activations, NeedAMethodThatKeepsTheirScales) {
  Model model;
  ASSERT_TRUE(quantize(model, options("nf4"), test_plugins()).ok());
  const auto done = quantize_activations(model, {});
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().text().find("blocks.0.fc1"), std::string::npos);
  QuantizeOptions later = options("qint8");
  later.freeze = false;
  Model unfrozen;
  ASSERT_TRUE(quantize(unfrozen, later, test_plugins()).ok());
  EXPECT_EQ(quantize_activations(unfrozen, {}).error().code(), ErrorCode::failed_precondition);
}

TEST(Activations, RoundToTheNearestEvenAndClamp) {
  const torch::Tensor x = at::tensor({0.5F, 1.5F, -2.5F, 300.F, -300.F});
  const torch::Tensor scale = at::ones({});
  EXPECT_TRUE(at::equal(round_activation(x, DType::i8, scale),
                        at::tensor({0.F, 2.F, -2.F, 127.F, -128.F})));
  EXPECT_TRUE(at::equal(round_activation(at::tensor({1.05F, 1000.F}), DType::f8_e4m3fn, scale),
                        at::tensor({1.F, 448.F})));
}

TEST(Dequantize, GivesFloatLayersThatComputeTheSame) {
  const at::NoGradGuard no_grad;
  Model model;
  ASSERT_TRUE(quantize(model, options("qint8"), test_plugins()).ok());
  const torch::Tensor x = at::randn({5, 64}), want = model.forward(x);
  const auto count = dequantize(model);
  ASSERT_TRUE(count.ok()) << count.error().text();
  EXPECT_EQ(*count, 6u);
  EXPECT_TRUE(at_path(model, "tail.1")->as<torch::nn::LinearImpl>() != nullptr);
  EXPECT_EQ(model.named_parameters()["blocks.0.fc1.weight"].sizes(), at::IntArrayRef({128, 64}));
  EXPECT_LT(relative(model.forward(x), want), 1e-5);
}

TEST(Dequantize, CastsWhereAsked) {
  Model model;
  ASSERT_TRUE(quantize(model, options("nf4"), test_plugins()).ok());
  ASSERT_TRUE(dequantize(model, DType::bf16).ok());
  EXPECT_EQ(model.named_parameters()["tail.0.weight"].scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace precis
