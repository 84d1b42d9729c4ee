#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>

#include "core/format/container.h"
#include "core/format/layout.h"
#include "core/format/test_files.h"

namespace precis {
namespace {

using test::bytes_of;
using test::safetensors_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<ContainerHeader> parse(const std::string& file) {
  return parse_safetensors(bytes_of(file), file.size());
}

const std::string kFourBytes = R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})";

std::string header_with(const std::string& tensor) {
  return fmt::format("{{\"a\":{}}}", tensor);
}

// "$" stands for a tensor of four bytes.
std::string with_tensor(std::string header) {
  for (std::size_t at = header.find('$'); at != std::string::npos; at = header.find('$')) {
    header.replace(at, 1, kFourBytes);
  }
  return header;
}

TEST(SafetensorsReader, GivesNamesDtypesShapesAndAbsoluteOffsetsInTheOrderOfTheHeader) {
  const auto header =
      parse(safetensors_file(R"({"__metadata__":{"format":"pt","z":"é\n\ud83d\ude00"},)"
                             R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                             R"("a":{"data_offsets":[8,9],"shape":[],"dtype":"F8_E4M3"}}  )",
                             "123456789"));
  ASSERT_TRUE(header.ok()) << header.error().text();
  ASSERT_EQ(header->tensors.size(), 2u);
  EXPECT_EQ(header->tensors[0].name, "b");
  EXPECT_EQ(header->tensors[0].dtype, DType::f32);
  EXPECT_THAT(header->tensors[0].shape, ElementsAre(2, 1));
  EXPECT_EQ(header->tensors[0].nbytes, 8u);
  EXPECT_EQ(header->tensors[1].offset, header->tensors[0].offset + 8);
  EXPECT_TRUE(header->tensors[1].shape.empty());
  EXPECT_EQ(header->metadata.dump(), "{\"format\":\"pt\",\"z\":\"é\\n😀\"}");
}

// What the Python library (safetensors 0.8) accepts, precis accepts.
TEST(SafetensorsReader, AcceptsWhatTheReferenceAccepts) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {header_with(kFourBytes), "1234"},
      {header_with(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":{"y":[1,-2.5e3,null]}})"),
       "1234"},
      {with_tensor(R"({"__metadata__":null,"a":$})"), "1234"},
      {"{}", ""},
      {with_tensor(R"( {"a":$})"), "1234"},
      {header_with(kFourBytes) + "\n\t ", "1234"},
      {header_with(R"({"dtype":"F32","shape":[0,4],"data_offsets":[0,0]})"), ""},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"F32","shape":[0],"data_offsets":[2,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "1234"},
      {header_with(
           R"({"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]})"),
       ""},
      {header_with(R"({"dtype":"F4","shape":[4],"data_offsets":[0,2]})"), "12"},
      {header_with(R"({"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]})"), "123"},
      {with_tensor(R"({"":$})"), "1234"},
  };
  for (const auto& [header, data] : cases) {
    const auto result = parse(safetensors_file(header, data));
    EXPECT_TRUE(result.ok()) << header << ": " << result.error().text();
  }
}

struct Refusal {
  std::string header, data, reason;
};

TEST(SafetensorsReader, RefusesHeadersThatLieOrContradictThemselves) {
  const std::vector<Refusal> cases{
      {with_tensor(R"({"a":$,"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})"), "1234",
       "'a' appears twice"},
      {header_with(R"({"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]})"), "1234",
       "'dtype' twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "", "'k' twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "second __metadata__"},
      {R"({"__metadata__":{"k":1}})", "", "expected '\"'"},
      {header_with(R"({"dtype":"U8","shape":[4],"data_offsets":[2,6]})"), "123456",
       "belong to no tensor"},
      {header_with(kFourBytes), "12345", "its tensors end at 4"},
      {"{}", "12", "its tensors end at 0"},
      {with_tensor(R"({"a":$,"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})"), "123456",
       "overlap"},
      {with_tensor(R"({"a":$,"b":$})"), "1234", "overlap"},
      {with_tensor(R"({"a":$,"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})"), "1234",
       "overlap"},
      {header_with(R"({"dtype":"U8","shape":[4],"data_offsets":[4,0]})"), "1234", "run backwards"},
      {header_with(kFourBytes), "123", "only 3 bytes"},
      {header_with(R"({"dtype":"F32","shape":[4],"data_offsets":[0,4]})"), "1234", "need 16 bytes"},
      {header_with(
           R"({"dtype":"F32","shape":[9223372036854775807,9223372036854775807,0],"data_offsets":[0,0]})"),
       "", "overflow"},
      {header_with(R"({"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]})"), "",
       "overflow"},
      {header_with(R"({"dtype":"F4","shape":[3],"data_offsets":[0,2]})"), "12", "whole bytes"},
      {header_with(R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4]})"), "1234",
       "too large"},
      {header_with(R"({"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]})"), "1234",
       "too large"},
      {header_with(R"({"dtype":"U8","shape":[4.0],"data_offsets":[0,4]})"), "1234", "whole number"},
      {header_with(R"({"dtype":"U8","shape":[-4],"data_offsets":[0,4]})"), "1234", "not negative"},
      {header_with(R"({"dtype":"U8","shape":[04],"data_offsets":[0,4]})"), "1234", "begins with 0"},
      {header_with(R"({"dtype":"U8","shape":[[4]],"data_offsets":[0,4]})"), "1234",
       "expected a number"},
      {header_with(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4,4]})"), "1234", "expected ']'"},
      {header_with(R"({"dtype":"U8","shape":[4]})"), "1234", "needs dtype, shape and data_offsets"},
      {header_with("5"), "", "expected '{'"},
      {header_with(R"(["U8",[4],[0,4]])"), "1234", "expected '{'"},
      {header_with(kFourBytes) + std::string(2, '\0'), "1234", "more text after its end"},
      {with_tensor(R"({"a\ud800":$})"), "1234", "surrogate"},
      {with_tensor("{\"a\n\":$}"), "1234", "control character"},
      {with_tensor("{\"a\xff\":$}"), "1234", "not UTF-8"},
      {"\xef\xbb\xbf{}", "", "expected '{'"},
      {"[]", "", "expected '{'"},
      {"", "", "expected '{'"},
      {R"({"a":{"x":)" + std::string(100000, '['), "", "nesting"},
      {header_with(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})").substr(0, 30), "",
       "expected"},
  };
  for (const Refusal& c : cases) {
    const auto result = parse(safetensors_file(c.header, c.data));
    ASSERT_FALSE(result.ok()) << c.header.substr(0, 200);
    EXPECT_EQ(result.error().code(), ErrorCode::data_loss) << c.header.substr(0, 200);
    EXPECT_THAT(result.error().message(), HasSubstr(c.reason)) << c.header.substr(0, 200);
    EXPECT_FALSE(result.error().hint().empty());
  }
}

TEST(SafetensorsReader, RefusesAHeaderLengthThatTheFileCannotHave) {
  for (const uint64_t length :
       {uint64_t{1} << 63, ~uint64_t{0}, uint64_t{100}, uint64_t{100'000'001}}) {
    EXPECT_FALSE(parse(test::little_endian(length) + "{}").ok()) << length;
  }
  for (std::size_t size = 0; size < 8; ++size) EXPECT_FALSE(parse(std::string(size, '\0')).ok());
}

TEST(SafetensorsReader, RefusesEveryTruncationOfAValidFile) {
  const std::string file = safetensors_file(header_with(kFourBytes), "1234");
  ASSERT_TRUE(parse(file).ok());
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse(file.substr(0, size)).ok()) << size;
  }
}

TEST(SafetensorsReader, NamesTheDtypeItDoesNotKnow) {
  const auto result = parse(
      safetensors_file(header_with(R"({"dtype":"F3","shape":[8],"data_offsets":[0,3]})"), "123"));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ErrorCode::unsupported);
  EXPECT_THAT(result.error().message(), HasSubstr("tensor 'a': unknown dtype 'F3'"));
}

// The bytes that safetensors.serialize of Python (0.6 and 0.8) gives for these tensors.
TEST(SafetensorsLayout, IsTheReferencesHeaderByteForByte) {
  const std::vector<PlannedTensor> tensors{
      {"b", DType::u8, "", {1}, 1},
      {"q\"uote\\\n\x7f\xc3\xa9\x01/\t", DType::f32, "", {}, 4},
      {"a", DType::u8, "", {1}, 1},
      {"zero", DType::f32, "", {0, 3}, 0},
      {"flag", DType::boolean, "", {1}, 1},
      {"half", DType::f16, "", {2}, 4},
      {"brain", DType::bf16, "", {1}, 2},
  };
  const auto layout = plan_safetensors(tensors, {{"k", "a\"b\\\n\x01\xc3\xa9"}});
  ASSERT_TRUE(layout.ok()) << layout.error().text();
  const std::string text =
      "{\"__metadata__\":{\"k\":\"a\\\"b\\\\\\n\\u0001\xc3\xa9\"},"
      "\"q\\\"uote\\\\\\n\x7f\xc3\xa9\\u0001/"
      "\\t\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"zero\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[4,4]},"
      "\"brain\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[4,6]},"
      "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[6,10]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[10,11]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[11,12]},"
      "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[12,13]}}";
  EXPECT_EQ(layout->header.size() % 8, 0u);
  EXPECT_THAT(layout->header.substr(8), ::testing::StartsWith(text));
  EXPECT_EQ(layout->header.substr(8 + text.size()),
            std::string(layout->header.size() - 8 - text.size(), ' '));
  EXPECT_EQ(layout->file_size, layout->header.size() + 13);
  EXPECT_EQ(layout->offsets[0], layout->header.size() + 11);
}

TEST(SafetensorsLayout, ReadsBackAsItWasPlanned) {
  const std::vector<PlannedTensor> tensors{{"x.weight", DType::bf16, "", {3, 5}, 30},
                                           {"x.absmax", DType::f32, "", {2}, 8},
                                           {"empty", DType::i64, "", {0}, 0}};
  const auto layout = plan_safetensors(tensors, {{"format", "pt"}});
  ASSERT_TRUE(layout.ok());
  const auto header = parse_safetensors(bytes_of(layout->header), layout->file_size);
  ASSERT_TRUE(header.ok()) << header.error().text();
  EXPECT_EQ(header->metadata["format"], "pt");
  for (const TensorEntry& entry : header->tensors) {
    const auto planned = std::find_if(tensors.begin(), tensors.end(),
                                      [&](const PlannedTensor& t) { return t.name == entry.name; });
    ASSERT_NE(planned, tensors.end());
    EXPECT_EQ(entry.dtype, planned->dtype);
    EXPECT_EQ(entry.shape, planned->shape);
    EXPECT_EQ(entry.offset, layout->offsets[static_cast<std::size_t>(planned - tensors.begin())]);
  }
}

TEST(SafetensorsLayout, RefusesWhatTheFormatCannotHold) {
  const auto refused = [](const PlannedTensor& tensor) {
    return !plan_safetensors(std::vector{tensor}, nlohmann::ordered_json::object()).ok();
  };
  EXPECT_TRUE(refused({"a", DType::u8, "gguf.q8_0", {1, 32}, 34}));
  EXPECT_TRUE(refused({"a", DType::f32, "", {2}, 4}));
  EXPECT_TRUE(refused({"a", DType::f32, "", {-1}, 4}));
  EXPECT_TRUE(refused({"a", DType::f4_e2m1fn, "", {3}, 2}));
  EXPECT_TRUE(refused({"__metadata__", DType::f32, "", {1}, 4}));
  EXPECT_TRUE(refused({"\xff", DType::f32, "", {1}, 4}));
  const std::vector<PlannedTensor> twice(2, {"a", DType::u8, "", {1}, 1});
  EXPECT_FALSE(plan_safetensors(twice, nlohmann::ordered_json::object()).ok());
  EXPECT_FALSE(plan_safetensors({}, {{"count", 1}}).ok());
  const std::vector<PlannedTensor> huge{{"a", DType::u8, "", {INT64_MAX}, INT64_MAX},
                                        {"b", DType::u8, "", {INT64_MAX}, INT64_MAX},
                                        {"c", DType::u8, "", {INT64_MAX}, INT64_MAX}};
  EXPECT_FALSE(plan_safetensors(huge, nlohmann::ordered_json::object()).ok());
}

}  // namespace
}  // namespace precis
