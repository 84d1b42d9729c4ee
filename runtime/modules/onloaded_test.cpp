#include "runtime/modules/onloaded.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

namespace precis {
namespace {

// Every LibTorch has the CPU: a weight that is there is none that waits, but its own memory.
const at::Device kThere(at::kCPU);
// A device that this LibTorch has no memory for.
const at::Device kMissing(at::kXPU);

bool waits(const at::Tensor& tensor) {
  return waiting_weight(tensor) != nullptr;
}

at::Tensor waiting(const at::Tensor& tensor, const at::Device& device,
                   Onload onload = Onload::by_layer) {
  return make_waiting({tensor, device, onload, /*on_disk=*/false});
}

torch::nn::Linear layer_of(const at::Tensor& weight, const at::Tensor& bias) {
  torch::nn::Linear layer(3, 2);
  layer->weight.set_data(weight);
  layer->bias.set_data(bias);
  return layer;
}

TEST(WaitingWeight, IsTheSameMemory) {
  const at::Tensor stored = at::arange(6, at::kFloat).view({2, 3});
  const at::Tensor tensor = waiting(stored, kThere);
  EXPECT_EQ(tensor.data_ptr(), stored.data_ptr());
  EXPECT_TRUE(at::equal(tensor, stored));
  EXPECT_EQ(waiting_weight(tensor)->device, kThere);
  EXPECT_EQ(waiting_weight(tensor.detach().narrow(0, 1, 1)), waiting_weight(tensor));
  EXPECT_EQ(waiting_weight(stored), nullptr);
  EXPECT_EQ(waiting_weight(at::Tensor()), nullptr);
  EXPECT_THROW(waiting(stored.t(), kThere), c10::Error);
}

TEST(Onloaded, BringsWeightsAndLeavesThemWhereTheyWaited) {
  const at::Tensor weight = at::ones({2, 3}), bias = at::ones({2});
  auto layer = layer_of(waiting(weight, kThere), waiting(bias, kThere, Onload::by_network));
  {
    const Onloaded onloaded(*layer, Onload::by_layer);
    EXPECT_TRUE(!waits(layer->weight) && waits(layer->bias));
    EXPECT_TRUE(onloaded.brought());
  }
  EXPECT_TRUE(waits(layer->weight) && waits(layer->bias));
  {
    const Onloaded onloaded(*layer, Onload::by_network);
    EXPECT_TRUE(waits(layer->weight) && !waits(layer->bias));
  }
  EXPECT_TRUE(waits(layer->weight) && waits(layer->bias));
  EXPECT_EQ(layer->weight.data_ptr(), weight.data_ptr());
  EXPECT_EQ(layer->bias.data_ptr(), bias.data_ptr());
  // And once more.
  const Onloaded onloaded(*layer, Onload::by_layer);
  EXPECT_FALSE(waits(layer->weight));
}

TEST(Onloaded, AWeightThatTwoLayersShareComesOnce) {
  const at::Tensor weight = at::ones({2, 3});
  auto layer = layer_of(waiting(weight, kThere), at::ones({2}));
  torch::nn::Module model;
  model.register_module("first", layer.ptr());
  model.register_module("second", layer.ptr());
  {
    const Onloaded onloaded(model, Onload::by_layer);
    EXPECT_FALSE(waits(layer->weight));
  }
  EXPECT_TRUE(waits(layer->weight));
}

TEST(Onloaded, AFailureLeavesEveryWeightWhereItWaited) {
  const at::Tensor weight = at::ones({2, 3}), bias = at::ones({2});
  auto layer = layer_of(waiting(weight, kThere), waiting(bias, kMissing));
  EXPECT_THROW(Onloaded(*layer, Onload::by_layer), c10::Error);
  EXPECT_TRUE(waits(layer->weight) && waits(layer->bias));
}

}  // namespace
}  // namespace precis
