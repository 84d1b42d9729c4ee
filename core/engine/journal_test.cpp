#include "core/engine/journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/base/output_file.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() / ("precis_journal_" + std::to_string(::getpid()));
    fs::remove(path_);
  }
  void TearDown() override { fs::remove(path_); }

  static JournalEntry entry(std::size_t tensor) {
    JournalEntry made;
    made.tensor = tensor;
    made.digests = {{1, 2, 3}, {0xff, 0xfe}};
    made.error.sum_squared_error = 0.1;
    made.error.elements = 1234567890123;
    return made;
  }
  fs::path path_;
};

TEST_F(JournalTest, AnotherRunOfTheSamePlanSeesWhatIsDone) {
  {
    auto journal = Journal::open(path_, "plan");
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal->append(entry(7)).ok());
  }
  auto again = Journal::open(path_, "plan");
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->finished().size(), 1u);
  EXPECT_EQ(again->finished()[0].tensor, 7u);
  EXPECT_EQ(again->finished()[0].digests, entry(7).digests);
  EXPECT_EQ(again->finished()[0].error.sum_squared_error, 0.1);
  EXPECT_EQ(again->finished()[0].error.elements, 1234567890123u);
}

TEST_F(JournalTest, AnotherPlanBeginsAnew) {
  { ASSERT_TRUE(Journal::open(path_, "plan")->append(entry(1)).ok()); }
  auto other = Journal::open(path_, "other plan");
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->finished().empty());
  EXPECT_TRUE(other->replaced());
}

TEST_F(JournalTest, ALineTornByAKillIsCutOff) {
  {
    auto journal = Journal::open(path_, "plan");
    ASSERT_TRUE(journal->append(entry(1)).ok());
    ASSERT_TRUE(journal->append(entry(2)).ok());
  }
  fs::resize_file(path_, fs::file_size(path_) - 5);
  {
    auto journal = Journal::open(path_, "plan");
    ASSERT_EQ(journal->finished().size(), 1u);
    ASSERT_TRUE(journal->append(entry(3)).ok());
  }
  auto journal = Journal::open(path_, "plan");
  ASSERT_EQ(journal->finished().size(), 2u);
  EXPECT_EQ(journal->finished()[1].tensor, 3u);
}

TEST_F(JournalTest, ASecondProcessIsKeptOut) {
  auto first = Journal::open(path_, "plan");
  ASSERT_TRUE(first.ok());
  auto second = Journal::open(path_, "plan");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::failed_precondition);
}

}  // namespace
}  // namespace precis
