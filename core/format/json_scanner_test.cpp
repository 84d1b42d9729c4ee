#include "core/format/json_scanner.h"

#include <gmock/gmock.h>

#include "core/format/utf8.h"

namespace precis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseJson, AgreesWithTheStandard) {
  for (const char* text :
       {"{}", " [1, -2.5e+3, 0, true, false, null, \"\\u00e9\\ud83d\\ude00\"] ", "1e2", "\"x\""}) {
    const auto document = parse_json(text);
    ASSERT_TRUE(document.ok()) << text << document.error().text();
    EXPECT_EQ(*document, nlohmann::json::parse(text));
  }
  for (const char* text :
       {"",        "{",           "[1,]",        "{\"a\":1,}",  "01",    "1.",
        ".5",      "+1",          "1e",          "nul",         "[1 2]", "{1:2}",
        "\"\\x\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\u12g4\"", "\"a",   "\"\n\"",
        "[] []",   "1e999"}) {
    EXPECT_FALSE(parse_json(text).ok()) << text;
    EXPECT_TRUE(nlohmann::json::parse(text, nullptr, false).is_discarded()) << text;
  }
  EXPECT_FALSE(parse_json("\"\xff\"").ok());
}

TEST(ParseJson, StopsAtDeepNesting) {
  EXPECT_TRUE(parse_json(std::string(100, '[') + std::string(100, ']')).ok());
  EXPECT_FALSE(parse_json(std::string(101, '[') + std::string(101, ']')).ok());
  EXPECT_FALSE(parse_json(std::string(10'000'000, '[')).ok());
}

TEST(ParseJson, TellsOfDuplicateKeysWhenAsked) {
  const char* text = R"({"a": {"k": 1, "k": 2}})";
  EXPECT_EQ((*parse_json(text))["a"]["k"], 2);
  const auto refused = parse_json(text, DuplicateKeys::refuse);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("the key 'k' a second time"));
}

TEST(ObjectKeys, KeepTheOrderOfTheText) {
  EXPECT_THAT(object_keys(R"({"z": [1, {"inner": 2}], "a": 1, "\u006d": null})"),
              ElementsAre("z", "a", "m"));
  EXPECT_TRUE(object_keys("[1]").empty());
  EXPECT_TRUE(object_keys("{}").empty());
}

TEST(IsUtf8, FollowsTheStandardsTable) {
  for (const char* good :
       {"", "ascii only, longer than eight bytes", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "eight ok\xe2\x82", "\xe2\x82z"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace precis
