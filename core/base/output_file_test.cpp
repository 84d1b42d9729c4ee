#include "core/base/output_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

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
