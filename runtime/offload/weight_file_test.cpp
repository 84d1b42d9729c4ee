#include "runtime/offload/weight_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "runtime/offload/mapped_tensor.h"

namespace precis {
namespace {

std::shared_ptr<WeightFile> file() {
  auto made = WeightFile::create(std::filesystem::current_path());
  if (!made.ok()) throw std::runtime_error(made.error().text());
  return *std::move(made);
}

TEST(WeightFile, HoldsTheNumbersOfEveryDtype) {
  const auto weights = file();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kChar, at::kByte}) {
    const at::Tensor numbers = at::randint(0, 100, {100, 99}).to(type);
    const auto stored = weights->store(numbers);
    ASSERT_TRUE(stored.ok()) << stored.error().text();
    EXPECT_TRUE(is_mapped(*stored));
    EXPECT_TRUE(at::equal(*stored, numbers));
    release_weight(*stored);
    EXPECT_TRUE(at::equal(*stored, numbers));
  }
}

TEST(WeightFile, LeavesSmallTensorsInMemory) {
  const at::Tensor bias = at::randn({64});
  EXPECT_TRUE(file()->store(bias)->is_same(bias));
}

TEST(WeightFile, TensorsOutliveTheFileObjectAndNoNameIsLeft) {
  const auto directory = std::filesystem::current_path() / "weight-file-test";
  std::filesystem::create_directory(directory);
  at::Tensor stored;
  const at::Tensor numbers = at::randn({64, 64});
  {
    auto weights = WeightFile::create(directory);
    ASSERT_TRUE(weights.ok());
    stored = *(*weights)->store(numbers);
    EXPECT_TRUE(std::filesystem::is_empty(directory));
  }
  EXPECT_TRUE(at::equal(stored, numbers));
  EXPECT_TRUE(std::filesystem::remove(directory));
}

TEST(WeightFile, NamesADirectoryThatIsNotThere) {
  const auto made = WeightFile::create("/nowhere/at/all");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code(), ErrorCode::io);
  EXPECT_NE(made.error().text().find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace precis
