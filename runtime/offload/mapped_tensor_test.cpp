#include "runtime/offload/mapped_tensor.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

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

// Pages of the tensor that this process has mapped in, by its page table.
std::size_t resident_pages(const at::Tensor& tensor) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.data_ptr()) / page;
  std::vector<uint64_t> entries(tensor.nbytes() / page);
  const int table = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const auto size = entries.size() * sizeof(uint64_t);
  const ssize_t read =
      pread(table, entries.data(), size, static_cast<off_t>(begin * sizeof(uint64_t)));
  close(table);
  EXPECT_EQ(static_cast<std::size_t>(read), size);
  std::size_t pages = 0;
  for (const uint64_t entry : entries) pages += entry >> 63;
  return pages;
}

TEST(StreamedWeights, AreLetGoAfterEachCallAndComeBack) {
  const at::NoGradGuard no_grad;
  Parent parent;
  at::Tensor weight = parent.named_parameters()["fc.weight"];
  const at::Tensor numbers = weight.clone(), x = at::randn({3, 128});
  const at::Tensor expected = parent.fc(x);
  weight.set_data(on_disk(numbers));
  stream_weight(weight);
  EXPECT_GT(resident_pages(weight), 0u);
  EXPECT_TRUE(at::equal(parent.fc(x), expected));
  EXPECT_EQ(resident_pages(weight), 0u);
  EXPECT_TRUE(at::equal(parent.fc(x), expected));
}

}  // namespace
}  // namespace precis
