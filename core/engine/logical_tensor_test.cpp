#include "core/engine/logical_tensor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace precis {
namespace {

// A file whose numbers lie one byte off where float32 belongs, as the format allows.
class OddFileTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(PRECIS_BINARY_DIR) /
            ("logical_tensor_test." + std::to_string(::getpid()));
    std::string header = R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
    while (header.size() % 4 != 1) header += ' ';
    const uint64_t size = header.size();
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << header;
    out.write(reinterpret_cast<const char*>(kNumbers), sizeof kNumbers);
    out.close();
    auto file = Container::open(path_);
    ASSERT_TRUE(file.ok()) << file.error().text();
    tensor_.param.name = "a";
    tensor_.param.shape = {2, 2};
    tensor_.parts = {{*file, (*file)->find("a")}};
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static constexpr float kNumbers[] = {1, 2, 3, 4};
  std::filesystem::path path_;
  LogicalTensor tensor_;
};

TEST_F(OddFileTest, PluginsAreGivenNumbersWhereTheyMayReadThem) {
  EXPECT_EQ(tensor_.copied_bytes(), sizeof kNumbers);
  for (int again = 0; again < 2; ++again) {
    const auto bytes = tensor_.part_bytes(0);
    ASSERT_TRUE(bytes.ok()) << bytes.error().text();
    ASSERT_EQ(bytes->size(), sizeof kNumbers);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes->data()) % alignof(float), 0u);
    EXPECT_EQ(std::memcmp(bytes->data(), kNumbers, sizeof kNumbers), 0);
    tensor_.release_source();
  }
}

TEST_F(OddFileTest, RowsAreTheSame) {
  float row[2] = {};
  ASSERT_TRUE(tensor_.read_rows(1, 1, row).ok());
  EXPECT_EQ(row[0], 3);
  EXPECT_EQ(row[1], 4);
}

}  // namespace
}  // namespace precis
