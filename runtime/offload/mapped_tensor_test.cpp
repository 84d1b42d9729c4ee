#include "runtime/offload/mapped_tensor.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/modules/any_layer.h"
#include "runtime/offload/weight_file.h"

namespace precis {
namespace {

at::Tensor on_disk(const at::Tensor& tensor) {
  return *(*WeightFile::create(std::filesystem::current_path()))->store(tensor);
}

TEST(MappedTensor, KeepsItsOwnerAsLongAsAViewLives) {
  auto memory = std::make_shared<std::vector<float>>(64, 1.5F);
  const std::weak_ptr<std::vector<float>> alive = memory;
  const auto bytes = std::as_writable_bytes(std::span(*memory));
  at::Tensor view = mapped_tensor(bytes, std::move(memory), at::kFloat, {8, 8}).narrow(0, 2, 1);
  EXPECT_FALSE(alive.expired());
  EXPECT_TRUE(is_mapped(view));
  EXPECT_EQ(view.sum().item<float>(), 12.0F);
  view.reset();
  EXPECT_TRUE(alive.expired());
}

TEST(MappedTensor, HintsLeaveOtherTensorsAlone) {
  const at::Tensor plain = at::ones({4096});
  EXPECT_FALSE(is_mapped(plain));
  prefetch_weight(plain);
  release_weight(plain);
  stream_weight(at::Tensor());
  EXPECT_TRUE(at::equal(plain, at::ones({4096})));
}

struct Parent : torch::nn::Module {
  Parent() : fc(*this, "fc", torch::nn::Linear(128, 128)) {}
  AnyLayer fc;
};

TEST(StreamedWeights, AreLetGoAfterEachCallAndComeBack) {
  const at::NoGradGuard no_grad;
  Parent parent;
  at::Tensor weight = parent.named_parameters()["fc.weight"];
  const at::Tensor numbers = weight.clone(), x = at::randn({3, 128});
  const at::Tensor expected = parent.fc(x);
  weight.set_data(on_disk(numbers));
  // A change that is not in the file shows that the layer's memory was let go.
  weight[0][0] += 1;
  stream_weight(weight);
  parent.fc(x);
  EXPECT_TRUE(at::equal(weight, numbers));
  EXPECT_TRUE(at::equal(parent.fc(x), expected));
}

}  // namespace
}  // namespace precis
