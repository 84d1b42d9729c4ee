#include "core/base/output_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace precis {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("precis_output_file_" + std::to_string(::getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  fs::path directory_;
};

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST_F(OutputFileTest, HasItsSizeBeforeAnythingIsWritten) {
  auto file = OutputFile::open(directory_ / "a", 100);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(fs::file_size(directory_ / "a"), 100u);
  ASSERT_TRUE(file->write_at(96, as_bytes("tail")).ok());
  std::string back(4, ' ');
  ASSERT_TRUE(file->read_at(96, std::as_writable_bytes(std::span(back))).ok());
  EXPECT_EQ(back, "tail");
  EXPECT_EQ(fs::file_size(directory_ / "a"), 100u);
}

// Also on file systems that have no way past the cache, such as a tmpfs of an older kernel.
TEST_F(OutputFileTest, WritingPastTheCacheWritesTheSameBytes) {
  constexpr std::size_t kSize = 5 << 20;
  auto* staging = static_cast<std::byte*>(std::aligned_alloc(4096, 1 << 20));
  const std::unique_ptr<std::byte, decltype(&std::free)> owner(staging, &std::free);
  std::string text(kSize, ' ');
  for (std::size_t i = 0; i < kSize; ++i) text[i] = static_cast<char>('a' + i * i % 23);
  for (const fs::path& directory : {directory_, fs::path("/dev/shm")}) {
    const fs::path path = directory / ("past_cache_" + std::to_string(::getpid()));
    for (const std::size_t offset : {0u, 1u, 4095u, 4096u, 10000u}) {
      for (const std::size_t size : {std::size_t{10}, std::size_t{1 << 20}, kSize - 20000}) {
        std::string want = text;
        {
          auto file = OutputFile::open(path, kSize);
          ASSERT_TRUE(file.ok());
          ASSERT_TRUE(file->write_at(0, as_bytes(want)).ok());
          want.replace(offset, size, std::string_view(text).substr(1, size));
          ASSERT_TRUE(file->write_past_cache(offset, as_bytes(text).subspan(1, size),
                                             {staging, std::size_t{1 << 20}})
                          .ok());
        }
        EXPECT_EQ(*read_file(path, kSize), want) << path << " " << offset << " " << size;
      }
    }
    fs::remove(path);
  }
}

TEST_F(OutputFileTest, OpeningAgainKeepsWhatWasWritten) {
  { ASSERT_TRUE(OutputFile::open(directory_ / "a", 4)->write_at(0, as_bytes("kept")).ok()); }
  ASSERT_TRUE(OutputFile::open(directory_ / "a", 4).ok());
  EXPECT_EQ(*read_file(directory_ / "a", 100), "kept");
}

TEST_F(OutputFileTest, AnUnwritableTargetNamesThePathAndARemedy) {
  auto file = OutputFile::open(directory_ / "missing" / "a", 1);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code(), ErrorCode::io);
  EXPECT_NE(file.error().message().find("missing/a"), std::string::npos);
  EXPECT_FALSE(file.error().hint().empty());
}

TEST_F(OutputFileTest, AtomicWriteReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(write_file_atomically(directory_ / "config.json", "one").ok());
  ASSERT_TRUE(write_file_atomically(directory_ / "config.json", "three").ok());
  EXPECT_EQ(*read_file(directory_ / "config.json", 100), "three");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(OutputFileTest, ReadFileRefusesWhatIsTooLarge) {
  ASSERT_TRUE(write_file_atomically(directory_ / "big", std::string(1000, 'x')).ok());
  EXPECT_FALSE(read_file(directory_ / "big", 999).ok());
}

}  // namespace
}  // namespace precis
