#include "core/checkpoint/importance_matrix.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/format/test_files.h"

namespace precis {
namespace {

using test::little_endian;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0;

std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += little_endian(value);
  return bytes;
}

// One entry of the older form: name, number of calls, values.
std::string entry(const std::string& name, int32_t calls, const std::vector<float>& values) {
  std::string bytes = little_endian(static_cast<int32_t>(name.size()));
  bytes += name;
  bytes += little_endian(calls) + little_endian(static_cast<int32_t>(values.size()));
  return bytes + floats(values);
}

TEST(ImportanceMatrix, ReadsTheOlderFormAsMeansOverItsCalls) {
  const test::ScratchDirectory directory;
  std::string bytes = little_endian(int32_t{2});
  bytes += entry("a.weight", 2, {2, 4});
  bytes += entry("b.weight", 0, {5});
  bytes += little_endian(int32_t{7});  // what newer writers append
  const auto matrix = ImportanceMatrix::read(directory.write("imatrix.dat", bytes));
  ASSERT_TRUE(matrix.ok()) << matrix.error().text();
  EXPECT_EQ((*matrix)->size(), 2u);
  EXPECT_THAT(*(*matrix)->find("a.weight"), ElementsAre(1, 2));
  EXPECT_THAT(*(*matrix)->find("b.weight"), ElementsAre(5));
  EXPECT_EQ((*matrix)->find("c.weight"), nullptr);
  EXPECT_FALSE((*matrix)->without_data("a.weight"));
  EXPECT_TRUE((*matrix)->without_data("b.weight"));
  EXPECT_EQ((*matrix)->sha256().size(), 64u);
}

TEST(ImportanceMatrix, ReadsGgufAsSumsOverCounts) {
  const test::ScratchDirectory directory;
  // Two matrices of two columns; the second one was never used and counts everything alike.
  const std::string bytes = test::GgufFile(2, 1)
                                .key_string("general.type", "imatrix")
                                .tensor("a.weight.in_sum2", {2, 2}, kF32, 0)
                                .tensor("a.weight.counts", {1, 2}, kF32, 32)
                                .pad()
                                .raw(floats({6, 9, 4, 4, 0, 0, 0, 0}))
                                .raw(floats({3, 0}))
                                .bytes();
  const auto matrix = ImportanceMatrix::read(directory.write("imatrix.gguf", bytes));
  ASSERT_TRUE(matrix.ok()) << matrix.error().text();
  EXPECT_THAT(*(*matrix)->find("a.weight"), ElementsAre(2, 3, 1, 1));
}

TEST(ImportanceMatrix, RefusesValuesThatAreNoImportance) {
  const test::ScratchDirectory directory;
  for (const float value : {NAN, INFINITY, -1.0f}) {
    const std::string bytes = little_endian(int32_t{1}) + entry("a.weight", 1, {1, value});
    const auto matrix = ImportanceMatrix::read(directory.write("imatrix", bytes));
    ASSERT_FALSE(matrix.ok()) << value;
    EXPECT_EQ(matrix.error().code(), ErrorCode::data_loss);
    EXPECT_THAT(matrix.error().text(), HasSubstr("'a.weight'"));
    EXPECT_THAT(matrix.error().text(), HasSubstr("column 1"));
  }
}

TEST(ImportanceMatrix, RefusesWhatDoesNotFitTogether) {
  const test::ScratchDirectory directory;
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    const auto matrix = ImportanceMatrix::read(directory.write("imatrix", bytes));
    ASSERT_FALSE(matrix.ok()) << text;
    EXPECT_EQ(matrix.error().code(), ErrorCode::data_loss);
    EXPECT_THAT(matrix.error().text(), HasSubstr(text));
  };
  const auto gguf = [](uint64_t columns, uint32_t type, uint64_t counts) {
    return test::GgufFile(2, 0)
        .tensor("a.in_sum2", {columns}, type, 0)
        .tensor("a.counts", {counts}, kF32, 32)
        .pad()
        .data(64)
        .bytes();
  };
  refused(gguf(3, kF32, 2), "do not fit together");
  refused(gguf(3, kF32, 0), "do not fit together");
  refused(gguf(3, 1, 1), "is not f32");
  refused(test::GgufFile(1, 0).tensor("a.in_sum2", {1}, kF32, 0).pad().data(4).bytes(),
          "no counts");
  std::string bytes = little_endian(int32_t{1});
  bytes += entry("a.weight", 1, {1, 2});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    refused(bytes.substr(0, size), "ends too early");
  refused(little_endian(int32_t{-1}), "ends too early");
  refused(little_endian(int32_t{1}) + little_endian(INT32_MAX), "ends too early");
}

TEST(ImportanceMatrix, ReadsWhatItWrote) {
  const test::ScratchDirectory directory;
  const auto path = directory.path() / "imatrix.gguf";
  const std::map<std::string, SquareSums> weights{{"a.weight", {{6, 9}, 3}},
                                                  {"b.weight", {{5}, 1}}};
  const Status written = write_importance_matrix(path, weights, {"texts.txt", 4, 128});
  ASSERT_TRUE(written.ok()) << written.error().text();
  const auto matrix = ImportanceMatrix::read(path);
  ASSERT_TRUE(matrix.ok()) << matrix.error().text();
  EXPECT_EQ((*matrix)->size(), 2u);
  EXPECT_THAT(*(*matrix)->find("a.weight"), ElementsAre(2, 3));
  EXPECT_THAT(*(*matrix)->find("b.weight"), ElementsAre(5));
}

}  // namespace
}  // namespace precis
