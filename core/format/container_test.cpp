#include "core/format/container.h"

#include <gmock/gmock.h>

#include <thread>

#include "core/format/layout.h"
#include "core/format/test_files.h"

namespace precis {
namespace {

using test::safetensors_file;
using ::testing::HasSubstr;

const std::string kHeader = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";

Error error_of(const std::filesystem::path& path) {
  auto container = Container::open(path);
  return container.ok() ? Error(ErrorCode::internal, "opened") : container.error();
}

TEST(Container, OpensBothFormatsByTheirContent) {
  const test::ScratchDirectory directory;
  const auto safetensors =
      Container::open(directory.write("x.bin", safetensors_file(kHeader, "1234")));
  ASSERT_TRUE(safetensors.ok()) << safetensors.error().text();
  EXPECT_EQ((*safetensors)->format(), ContainerFormat::safetensors);
  const auto gguf = Container::open(directory.write("y.bin", test::GgufFile(0, 0).bytes()));
  ASSERT_TRUE(gguf.ok()) << gguf.error().text();
  EXPECT_EQ((*gguf)->format(), ContainerFormat::gguf);
}

TEST(Container, GivesTheBytesOfATensor) {
  const test::ScratchDirectory directory;
  const auto container =
      Container::open(directory.write("x.safetensors", safetensors_file(kHeader, "1234")));
  ASSERT_TRUE(container.ok());
  const TensorEntry* entry = (*container)->find("a");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ((*container)->find("b"), nullptr);
  const auto data = (*container)->data(*entry);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(data->data()), data->size()), "1234");
}

TEST(Container, GivesTheSameBytesAfterTheyWereReleased) {
  const test::ScratchDirectory directory;
  const std::vector<PlannedTensor> tensors{{"a", DType::u8, "", {100'000}, 100'000},
                                           {"b", DType::u8, "", {100'000}, 100'000}};
  auto layout = plan_safetensors(tensors, nlohmann::ordered_json::object());
  ASSERT_TRUE(layout.ok());
  const auto container = Container::open(directory.write(
      "x.safetensors", layout->header + std::string(100'000, 'a') + std::string(100'000, 'b')));
  ASSERT_TRUE(container.ok());
  for (const TensorEntry& entry : (*container)->tensors()) {
    (*container)->prefetch(entry);
    for (int round = 0; round < 2; ++round) {
      const auto data = (*container)->data(entry);
      ASSERT_TRUE(data.ok());
      const auto expected = static_cast<std::byte>(entry.name.front());
      EXPECT_TRUE(
          std::all_of(data->begin(), data->end(), [&](std::byte b) { return b == expected; }));
      (*container)->release(entry);
    }
  }
}

TEST(Container, RefusesAnEntryOfAnotherFile) {
  const test::ScratchDirectory directory;
  const auto container =
      Container::open(directory.write("x.safetensors", safetensors_file(kHeader, "1234")));
  ASSERT_TRUE(container.ok());
  for (const auto& [offset, nbytes] :
       {std::pair<uint64_t, uint64_t>{0, 1 << 20}, {1 << 20, 0}, {~0ull, 2}}) {
    EXPECT_FALSE((*container)->data({"b", DType::u8, "", {}, offset, nbytes}).ok());
  }
}

// The length of the header may look like the beginning of another format.
TEST(Container, IsNotFooledByAHeaderLengthThatLooksLikeAMagicNumber) {
  const test::ScratchDirectory directory;
  for (const std::size_t length :
       {0x0280u, 0x4b50u, 0x0480u}) {  // a pickle's start, "PK", another pickle's
    std::string header = kHeader;
    header.resize(length, ' ');
    const auto container = Container::open(directory.write("x", safetensors_file(header, "1234")));
    EXPECT_TRUE(container.ok()) << length << ": " << container.error().text();
  }
}

TEST(Container, SaysWhatAFileThatIsNotWeightsIs) {
  const test::ScratchDirectory directory;
  const auto message = [&](std::string_view content) {
    const Error error = error_of(directory.write("file", content));
    EXPECT_FALSE(error.hint().empty()) << content;
    EXPECT_THAT(error.text(), HasSubstr("file"));
    return error.message();
  };
  EXPECT_THAT(message("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
              HasSubstr("Git LFS"));
  EXPECT_THAT(message("<!DOCTYPE html><html></html>"), HasSubstr("web page"));
  EXPECT_THAT(message(std::string("PK\x03\x04\x00\x00\x08\x08\x00\x00 archive/data.pkl", 27)),
              HasSubstr("pickled"));
  EXPECT_THAT(message(std::string("\x80\x02}q\x00X\x05\x00\x00\x00", 10)), HasSubstr("pickled"));
  EXPECT_THAT(message(""), HasSubstr("empty"));
  EXPECT_THAT(message("some text of a kind"), HasSubstr("no safetensors file"));
}

TEST(Container, NamesAFileThatCannotBeOpened) {
  const test::ScratchDirectory directory;
  EXPECT_EQ(error_of(directory.path() / "missing.safetensors").code(), ErrorCode::io);
  EXPECT_THAT(error_of(directory.path() / "missing.safetensors").text(),
              HasSubstr("missing.safetensors"));
  EXPECT_EQ(error_of(directory.path()).code(), ErrorCode::io);
}

TEST(Container, IsReadFromManyThreadsAtOnce) {
  const test::ScratchDirectory directory;
  const auto container =
      Container::open(directory.write("x.safetensors", safetensors_file(kHeader, "1234")));
  ASSERT_TRUE(container.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const TensorEntry* entry = (*container)->find("a");
        EXPECT_EQ((*(*container)->data(*entry))[3], std::byte{'4'});
        (*container)->release(*entry);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace precis
