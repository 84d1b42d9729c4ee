#include "core/base/printable.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

TEST(Printable, LeavesOrdinaryTextAsItIs) {
  EXPECT_EQ(printable("blocks.0.attn.to_q.weight"), "blocks.0.attn.to_q.weight");
  EXPECT_EQ(printable("Größe 重み"), "Größe 重み");
}

TEST(Printable, WritesControlCharactersAsEscapes) {
  EXPECT_EQ(printable("\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
  EXPECT_EQ(printable("a\r\n\tb\x7f"), "a\\r\\n\\tb\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Printable, WritesC1ControlsInUtf8AsEscapes) {
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("\xc2\xa0\xc2"), "\xc2\xa0\xc2");
}

TEST(Printable, KeepsWhatItIsTold) {
  EXPECT_EQ(printable("a\nb\x1b", "\n"), "a\nb\\x1b");
}

}  // namespace
}  // namespace precis
