#include "core/base/mapped_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

namespace precis {
namespace {

using ::testing::HasSubstr;

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "precis-mapped-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& content) const {
    std::ofstream(directory_ / "file", std::ios::binary) << content;
    return directory_ / "file";
  }

  std::filesystem::path directory_;
};

// Bytes of files and memory that are resident in this process.
uint64_t resident_bytes() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}, [](uint64_t total, std::byte b) {
    return total + std::to_integer<uint64_t>(b);
  });
}

TEST_F(MappedFileTest, GivesTheBytesOfTheFile) {
  const auto file = MappedFile::open(write("abc"));
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(file->size(), 3u);
  EXPECT_EQ(sum(file->bytes()), uint64_t{'a'} + 'b' + 'c');
}

TEST_F(MappedFileTest, TakesAnEmptyFile) {
  const auto file = MappedFile::open(write(""));
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_TRUE(file->bytes().empty());
  file->prefetch(0, 0);
  file->release(0, 0);
}

TEST_F(MappedFileTest, MovesItsMapping) {
  auto first = MappedFile::open(write("abc"));
  ASSERT_TRUE(first.ok());
  MappedFile second = *std::move(first);
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(sum(third.bytes()), uint64_t{'a'} + 'b' + 'c');
  EXPECT_EQ(second.size(), 0u);  // NOLINT: what a moved-from file holds is what is tested
}

TEST_F(MappedFileTest, SaysWhichFileCannotBeMapped) {
  for (const std::filesystem::path& path : {directory_ / "missing", directory_}) {
    const auto file = MappedFile::open(path);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code(), ErrorCode::io);
    EXPECT_THAT(file.error().message(), HasSubstr(path.string()));
  }
}

TEST_F(MappedFileTest, ReleaseGivesMemoryBackAndKeepsTheBytes) {
  constexpr uint64_t kSize = 64 << 20;
  const auto file = MappedFile::open(write(std::string(kSize, '\1')));
  ASSERT_TRUE(file.ok());
  file->prefetch(1, kSize - 1);
  ASSERT_EQ(sum(file->bytes()), kSize);
  const uint64_t before = resident_bytes();
  file->release(1, kSize - 1);
  EXPECT_LT(resident_bytes() + kSize / 2, before);
  EXPECT_EQ(sum(file->bytes()), kSize);
}

}  // namespace
}  // namespace precis
