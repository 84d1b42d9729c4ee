#include "validate/audit/elf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/base/output_file.h"

namespace precis::validate {
namespace {

std::string bytes_of(const std::string& fault) {
  return *read_file(std::string(PRECIS_BINARY_DIR) + "/tests/faults/" + fault + ".so", 1 << 30);
}
Result<ElfLibrary> parse(const std::string& bytes) {
  return read_elf(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

TEST(Elf, TellsWhatALibraryExportsAndNeeds) {
  const auto library = parse(bytes_of("sound"));
  ASSERT_TRUE(library.ok()) << library.error().text();
  std::vector<std::string> exported;
  for (const ElfSymbol& symbol : library->symbols) {
    if (symbol.exported) exported.push_back(symbol.name);
  }
  EXPECT_THAT(exported, testing::ElementsAre("precis_plugin_entry_v1"));
  EXPECT_THAT(library->needed, testing::Contains("libc.so.6"));
  EXPECT_THAT(library->search_path, testing::IsEmpty());
  EXPECT_FALSE(library->text_relocations);
  EXPECT_FALSE(library->executable_stack);
  EXPECT_TRUE(std::any_of(library->versions.begin(), library->versions.end(), [](const auto& need) {
    return need.library == "libc.so.6" && need.version.starts_with("GLIBC_");
  }));
}

TEST(Elf, RefusesWhatIsNoLibrary) {
  for (const std::string& bytes : {std::string(), std::string("text"), std::string(64, '\0')})
    EXPECT_FALSE(parse(bytes).ok());
}

TEST(Elf, EveryTruncationIsRefusedOrRead) {
  const std::string whole = bytes_of("sound");
  for (std::size_t size = 0; size < whole.size(); size += 37) (void)parse(whole.substr(0, size));
}

TEST(Elf, DamagedHeadersAndTablesAreRefusedOrRead) {
  const std::string whole = bytes_of("sound");
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = whole;
    // The headers are in front; the dynamic section is somewhere behind.
    const std::size_t reach = round % 2 == 0 ? 1024 : damaged.size();
    for (int i = 0; i < 8; ++i) damaged[random() % reach] = static_cast<char>(random());
    (void)parse(damaged);
  }
}

}  // namespace
}  // namespace precis::validate
