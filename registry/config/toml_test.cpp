#include "registry/config/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace precis {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Toml, TablesArraysAndNumbers) {
  const auto config =
      parse_toml("[transformer]\nbits = 4\nskip = ['a', \"b\"]\nscale = 6.0\n", "x.toml");
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(*config, (json{{"transformer", {{"bits", 4}, {"skip", {"a", "b"}}, {"scale", 6.0}}}}));
}

TEST(Toml, AnErrorNamesFileAndLine) {
  const auto config = parse_toml("a = 1\nb = \n", "x.toml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().text(), HasSubstr("x.toml: line 2"));
}

TEST(Toml, CharactersBeyondAsciiInStringsAndComments) {
  const auto config = parse_toml("\xEF\xBB\xBF# é\n\"é\" = 'あ' # あ\nb = \"\\\"é\"\n", "x.toml");
  ASSERT_TRUE(config.ok()) << config.error().text();
  EXPECT_EQ(*config, (json{{"é", "あ"}, {"b", "\"é"}}));
  const auto lines = parse_toml("a = \"\"\"\né\"\"\"\"\"\nb = '''é''''\n", "x.toml");
  ASSERT_TRUE(lines.ok()) << lines.error().text();
  EXPECT_EQ(*lines, (json{{"a", "é\"\""}, {"b", "é'"}}));
}

TEST(Toml, CharactersBeyondAsciiElsewhereAreAnError) {
  for (const char* text : {"é = 1", "a = あ", "a = '''x'''\ufe3f", "a = \"\"\"x\"\"\"\"é",
                           "a = -2!:b'c é", "a=2-f{\"x 'ϝ"}) {
    const auto config = parse_toml(text, "x.toml");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.error().text(), HasSubstr("x.toml: line 1")) << text;
  }
}

}  // namespace
}  // namespace precis
