#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "core/base/sha256.h"
#include "core/format/container.h"
#include "core/format/gguf_types.h"
#include "core/format/layout.h"
#include "core/format/test_files.h"

namespace precis {
namespace {

using nlohmann::ordered_json;
using test::bytes_of;
using test::GgufFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0, kQ4_0 = 2, kQ8_0 = 8;

Result<ContainerHeader> parse(const GgufFile& file) {
  return parse_gguf(bytes_of(file.bytes()), file.bytes().size());
}

void expect_refused(const GgufFile& file, const std::string& reason,
                    ErrorCode code = ErrorCode::data_loss) {
  const auto result = parse(file);
  ASSERT_FALSE(result.ok()) << reason;
  EXPECT_EQ(result.error().code(), code) << result.error().message();
  EXPECT_THAT(result.error().message(), HasSubstr(reason));
  EXPECT_FALSE(result.error().hint().empty());
}

GgufFile one_tensor(std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset,
                    std::size_t data) {
  return GgufFile(1, 0).tensor("a", dims, type, offset).pad().data(data);
}

ordered_json string_value(const std::string& text) {
  return {{"type", "string"}, {"value", text}};
}
ordered_json u32_value(uint32_t value) {
  return {{"type", "u32"}, {"value", value}};
}

TEST(GgufReader, GivesShapesInRowMajorOrderAndEncodings) {
  const auto header = parse(GgufFile(2, 1)
                                .key_string("general.architecture", "flux")
                                .tensor("w", {64, 3}, kQ8_0, 0)
                                .tensor("b", {3}, kF32, 224)
                                .pad()
                                .data(224 + 12));
  ASSERT_TRUE(header.ok()) << header.error().text();
  EXPECT_EQ(header->format, ContainerFormat::gguf);
  EXPECT_THAT(header->tensors[0].shape, ElementsAre(3, 64));
  EXPECT_EQ(header->tensors[0].encoding, "gguf.q8_0");
  EXPECT_EQ(header->tensors[0].dtype, DType::u8);
  EXPECT_EQ(header->tensors[0].nbytes, 3u * 2 * 34);
  EXPECT_EQ(header->tensors[1].dtype, DType::f32);
  EXPECT_EQ(header->tensors[1].encoding, "");
  EXPECT_EQ(header->tensors[1].offset, header->tensors[0].offset + 224);
  EXPECT_EQ(header->metadata["general.architecture"]["value"], "flux");
}

TEST(GgufReader, KeepsEveryTypeOfValueAndTheOrderOfKeys) {
  GgufFile file(0, 13);
  file.string("z.u8").number(uint32_t{0}).number(uint8_t{255});
  file.string("i8").number(uint32_t{1}).number(int8_t{-128});
  file.string("u16").number(uint32_t{2}).number(uint16_t{65535});
  file.string("i16").number(uint32_t{3}).number(int16_t{-3});
  file.key_u32("u32", 4'000'000'000u);
  file.string("i32").number(uint32_t{5}).number(int32_t{-5});
  file.string("f32").number(uint32_t{6}).number(0.1f);
  file.string("bool").number(uint32_t{7}).number(uint8_t{2});
  file.key_string("string", std::string("not UTF-8: \xff"));
  file.string("u64").number(uint32_t{10}).number(~uint64_t{0});
  file.string("i64").number(uint32_t{11}).number(INT64_MIN);
  file.string("f64").number(uint32_t{12}).number(std::nan(""));
  file.string("array")
      .number(uint32_t{9})
      .number(uint32_t{8})
      .number(uint64_t{2})
      .string("x")
      .string("");
  const auto header = parse(file);
  ASSERT_TRUE(header.ok()) << header.error().text();
  const ordered_json& metadata = header->metadata;
  EXPECT_EQ(metadata.begin().key(), "z.u8");
  EXPECT_EQ(metadata["z.u8"]["value"], 255);
  EXPECT_EQ(metadata["i8"]["value"], -128);
  EXPECT_EQ(metadata["u32"]["value"], 4'000'000'000u);
  EXPECT_EQ(metadata["f32"]["value"].get<float>(), 0.1f);
  EXPECT_EQ(metadata["bool"]["value"], true);
  EXPECT_EQ(metadata["u64"]["value"].get<uint64_t>(), ~uint64_t{0});
  EXPECT_EQ(metadata["i64"]["value"].get<int64_t>(), INT64_MIN);
  EXPECT_EQ(metadata["array"]["items"], "string");
  EXPECT_EQ(metadata["array"]["value"], ordered_json({"x", ""}));
  EXPECT_THAT(metadata_text(metadata), HasSubstr("not UTF-8: \xef\xbf\xbd"));
}

// Cases and verdicts of ggml's own reader (2026-08), where precis agrees with it.
TEST(GgufReader, AcceptsWhatGgmlAccepts) {
  EXPECT_TRUE(parse(GgufFile(0, 0)).ok());
  EXPECT_TRUE(parse(GgufFile(0, 0, 2)).ok());
  EXPECT_TRUE(parse(one_tensor({}, kF32, 0, 4)).ok());
  EXPECT_TRUE(parse(one_tensor({2, 2, 2, 2}, kF32, 0, 64)).ok());
  EXPECT_TRUE(parse(one_tensor({0, 5}, kF32, 0, 0)).ok());
  EXPECT_TRUE(parse(one_tensor({2}, kF32, 0, 100)).ok()) << "bytes at the end";
  const auto unpadded = parse(GgufFile(1, 0).tensor("a", {0}, kF32, 0));
  ASSERT_TRUE(unpadded.ok());
  EXPECT_EQ(unpadded->tensors[0].offset, 57u) << "an empty tensor lies in the file";
  for (const uint32_t alignment : {1u, 2u, 8u, 16u, 64u, 4096u}) {
    EXPECT_TRUE(parse(GgufFile(1, 1)
                          .key_u32("general.alignment", alignment)
                          .tensor("a", {1}, kF32, 0)
                          .pad(alignment)
                          .data(4))
                    .ok())
        << alignment;
  }
}

// Files of gguf-py, ComfyUI's tools and stable-diffusion.cpp, which ggml refuses.
TEST(GgufReader, AcceptsTheLibertiesOfOtherWriters) {
  EXPECT_TRUE(parse(one_tensor({1}, kF32, 0, 4)).ok()) << "no last padding";
  EXPECT_TRUE(parse(one_tensor({1}, kF32, 64, 68)).ok()) << "a gap";
  EXPECT_TRUE(parse(one_tensor({1, 2, 2, 1, 3}, kF32, 0, 48)).ok()) << "five dimensions";
  EXPECT_TRUE(parse(GgufFile(2, 0)
                        .tensor("a", {1}, kF32, 32)
                        .tensor(std::string(200, 'n'), {1}, kF32, 0)
                        .pad()
                        .data(36))
                  .ok())
      << "another order, a long name";
}

TEST(GgufReader, RefusesHeadersThatLie) {
  expect_refused(GgufFile(uint64_t{1} << 62, 0), "more than the file holds");
  expect_refused(GgufFile(0, uint64_t{1} << 62), "more than the file holds");
  expect_refused(GgufFile(0, 1).number(uint64_t{1} << 60).raw(std::string(32, 'k')),
                 "runs past the end");
  expect_refused(GgufFile(0, 1).string("").number(uint32_t{0}).raw("xxxx"), "is empty");
  expect_refused(GgufFile(0, 1).string(std::string(65536, 'k')).number(uint32_t{0}).raw("x"),
                 "65536 bytes");
  expect_refused(GgufFile(0, 1).string("\xff").number(uint32_t{0}).raw("xxxxxxx"), "not UTF-8");
  expect_refused(GgufFile(0, 2).key_u32("k", 1).key_u32("k", 2), "'k' appears twice");
  expect_refused(GgufFile(0, 1).string("k").number(uint32_t{13}).raw("xxxx"),
                 "unknown value type 13");
  expect_refused(
      GgufFile(0, 1).string("k").number(uint32_t{9}).number(uint32_t{9}).number(uint64_t{1}),
      "array of arrays");
  expect_refused(
      GgufFile(0, 1).string("k").number(uint32_t{9}).number(uint32_t{8}).number(uint64_t{1} << 61),
      "more than the file holds");
  expect_refused(GgufFile(0, 1).key_u32("general.alignment", 0), "not a power of two");
  expect_refused(GgufFile(0, 1).key_u32("general.alignment", 3), "not a power of two");
  expect_refused(
      GgufFile(0, 1).string("general.alignment").number(uint32_t{10}).number(uint64_t{32}),
      "not a u32");
  expect_refused(GgufFile(0, 1)
                     .string("general.alignment")
                     .number(uint32_t{9})
                     .number(uint32_t{4})
                     .number(uint64_t{0}),
                 "not a u32");
}

TEST(GgufReader, RefusesTensorsThatLie) {
  expect_refused(one_tensor({1, 1, 1, 1, 1, 1}, kF32, 0, 4), "6 dimensions");
  expect_refused(one_tensor({uint64_t{1} << 40, uint64_t{1} << 40}, kF32, 0, 4), "overflows");
  expect_refused(one_tensor({uint64_t{1} << 62}, kF32, 0, 4), "overflows");
  expect_refused(one_tensor({uint64_t{1} << 63}, kF32, 0, 4), "too large");
  expect_refused(one_tensor({16}, kQ4_0, 0, 18), "no multiple of the 32 elements");
  expect_refused(one_tensor({1}, kF32, 4, 64), "not aligned");
  expect_refused(one_tensor({2}, kF32, 0, 4), "beyond the end");
  expect_refused(one_tensor({1}, kF32, ~uint64_t{31}, 64), "beyond the end");
  expect_refused(one_tensor({1}, 4, 0, 64), "unknown type 4", ErrorCode::unsupported);
  expect_refused(one_tensor({1}, 31, 0, 64), "unknown type 31", ErrorCode::unsupported);
  expect_refused(one_tensor({1}, 43, 0, 64), "unknown type 43", ErrorCode::unsupported);
  expect_refused(GgufFile(2, 0).tensor("a", {1}, kF32, 0).tensor("a", {1}, kF32, 32).pad().data(64),
                 "'a' appears twice");
  expect_refused(
      GgufFile(2, 0).tensor("a", {16}, kF32, 0).tensor("b", {1}, kF32, 32).pad().data(64),
      "'a' and 'b' overlap");
  expect_refused(GgufFile(1, 0).tensor("\xc0\x80", {1}, kF32, 0).pad().data(32), "not UTF-8");
}

TEST(GgufReader, SaysWhyOtherVersionsAndByteOrdersAreRefused) {
  expect_refused(GgufFile(0, 0, 1), "version 1", ErrorCode::unsupported);
  expect_refused(GgufFile(0, 0, 4), "version 4", ErrorCode::unsupported);
  expect_refused(GgufFile(0, 0, 0), "version 0", ErrorCode::unsupported);
  expect_refused(GgufFile(0, 0, 0x03000000), "big-endian", ErrorCode::unsupported);
  const std::string reversed = "FUGG" + GgufFile(0, 0).bytes().substr(4);
  const auto result = parse_gguf(bytes_of(reversed), reversed.size());
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("big-endian"));
}

TEST(GgufReader, RefusesEveryTruncationOfAValidFile) {
  const GgufFile file = GgufFile(1, 2)
                            .key_string("general.architecture", "sd3")
                            .key_u32("general.quantization_version", 2)
                            .tensor("a.weight", {32, 2}, kQ4_0, 0)
                            .pad()
                            .data(36);
  ASSERT_TRUE(parse(file).ok());
  for (std::size_t size = 0; size < file.bytes().size(); ++size) {
    EXPECT_FALSE(parse_gguf(bytes_of(file.bytes().substr(0, size)), size).ok()) << size;
  }
}

TEST(GgufTypes, HaveTheIdsAndBlockSizesOfGgml) {
  struct Row {
    uint32_t id, block, bytes;
  };
  for (const Row& row : {Row{0, 1, 4},
                         {2, 32, 18},
                         {3, 32, 20},
                         {8, 32, 34},
                         {10, 256, 84},
                         {12, 256, 144},
                         {14, 256, 210},
                         {20, 32, 18},
                         {23, 256, 136},
                         {30, 1, 2},
                         {39, 32, 17},
                         {40, 64, 36}}) {
    ASSERT_NE(gguf_type(row.id), nullptr) << row.id;
    EXPECT_EQ(gguf_type(row.id)->block_size, row.block);
    EXPECT_EQ(gguf_type(row.id)->block_bytes, row.bytes);
  }
  for (const uint32_t removed : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, ~0u}) {
    EXPECT_EQ(gguf_type(removed), nullptr) << removed;
  }
  EXPECT_EQ(gguf_type_for(DType::u8, "gguf.q4_k")->id, 12u);
  EXPECT_EQ(gguf_type_for(DType::bf16, "")->id, 30u);
  EXPECT_EQ(gguf_type_for(DType::u8, ""), nullptr);
  EXPECT_EQ(gguf_type_for(DType::u8, "gguf.f32"), nullptr);
  EXPECT_EQ(gguf_type_for(DType::u8, "q4_k"), nullptr);
}

// A file of 320 bytes that ggml's own reader accepts; SHA-256 of the whole begins with
// 8f389071f47ca0ab.
TEST(GgufLayout, GivesTheBytesThatGgmlReads) {
  const std::vector<PlannedTensor> tensors{{"blk.weight", DType::u8, "gguf.q4_0", {1, 32}, 18},
                                           {"blk.bias", DType::f32, "", {1}, 4}};
  const auto layout = plan_gguf(tensors, {{"general.architecture", string_value("flux")},
                                          {"general.quantization_version", u32_value(2)},
                                          {"general.file_type", u32_value(2)}});
  ASSERT_TRUE(layout.ok()) << layout.error().text();
  EXPECT_EQ(layout->header.size(), 256u);
  EXPECT_EQ(layout->file_size, 320u);
  EXPECT_THAT(layout->offsets, ElementsAre(256, 288));
  std::string file = layout->header;
  file.resize(layout->file_size, '\0');
  const std::string block(
      "\x2d\xaf\xc9\x13\x6e\xbc\x98\x91\x81\x00\x35\x98\x6f\x7a\xfc\x5d\x35\x29", 18);
  file.replace(256, block.size(), block);
  file.replace(288, 4, test::little_endian(1.5f));
  EXPECT_EQ(to_hex(sha256(bytes_of(file))).substr(0, 16), "8f389071f47ca0ab");
}

TEST(GgufLayout, ReadsBackAsItWasPlanned) {
  const ordered_json metadata{
      {"general.architecture", string_value("wan")},
      {"tokens", {{"type", "array"}, {"items", "string"}, {"value", {"a", "\xff", ""}}}},
      {"none", {{"type", "array"}, {"items", "f32"}, {"value", ordered_json::array()}}},
      {"scale", {{"type", "f32"}, {"value", 0.25}}},
      {"small", {{"type", "i64"}, {"value", INT64_MIN}}}};
  const std::vector<PlannedTensor> tensors{
      {"patch_embedding.weight", DType::f32, "", {2, 3, 1, 2, 2}, 96},
      {"scalar", DType::f16, "", {}, 2},
      {"q", DType::u8, "gguf.q6_k", {2, 512}, 840}};
  const auto layout = plan_gguf(tensors, metadata);
  ASSERT_TRUE(layout.ok()) << layout.error().text();
  const auto header = parse_gguf(bytes_of(layout->header), layout->file_size);
  ASSERT_TRUE(header.ok()) << header.error().text();
  EXPECT_EQ(header->metadata, metadata);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(header->tensors[i].name, tensors[i].name);
    EXPECT_EQ(header->tensors[i].shape, tensors[i].shape);
    EXPECT_EQ(header->tensors[i].encoding, tensors[i].encoding);
    EXPECT_EQ(header->tensors[i].offset, layout->offsets[i]);
    EXPECT_EQ(header->tensors[i].offset % 32, 0u);
  }
  EXPECT_EQ(layout->file_size, layout->offsets.back() + 864);
}

TEST(GgufLayout, RefusesWhatReadersCannotTake) {
  const auto refused = [](const PlannedTensor& tensor) {
    return !plan_gguf(std::vector{tensor}, ordered_json::object()).ok();
  };
  EXPECT_TRUE(refused({"a", DType::u8, "", {4}, 4}));
  EXPECT_TRUE(refused({"a", DType::f8_e4m3fn, "", {4}, 4}));
  EXPECT_TRUE(refused({"a", DType::u8, "bnb.nf4", {4}, 2}));
  EXPECT_TRUE(refused({"a", DType::u8, "gguf.q8_0", {2, 40}, 85}));
  EXPECT_TRUE(refused({"a", DType::u8, "gguf.q8_0", {2, 32}, 64}));
  EXPECT_TRUE(refused({"a", DType::f32, "", {1, 1, 1, 1, 1, 1}, 4}));
  EXPECT_TRUE(refused({std::string(160, 'n'), DType::f32, "", {1}, 4}));
  EXPECT_FALSE(refused({std::string(159, 'n'), DType::f32, "", {1}, 4}));
  const std::vector<PlannedTensor> twice(2, {"a", DType::f32, "", {1}, 4});
  EXPECT_FALSE(plan_gguf(twice, ordered_json::object()).ok());
}

TEST(GgufLayout, RefusesMetadataThatIsNotWhatItsTypeSays) {
  const auto refused = [](const std::string& key, const ordered_json& entry) {
    return !plan_gguf({}, {{key, entry}}).ok();
  };
  EXPECT_FALSE(refused("k", {{"type", "u8"}, {"value", 255}}));
  EXPECT_TRUE(refused("k", {{"type", "u8"}, {"value", 256}}));
  EXPECT_TRUE(refused("k", {{"type", "u8"}, {"value", -1}}));
  EXPECT_TRUE(refused("k", {{"type", "i8"}, {"value", -129}}));
  EXPECT_TRUE(refused("k", {{"type", "u64"}, {"value", -1}}));
  EXPECT_TRUE(refused("k", {{"type", "u32"}, {"value", 1.5}}));
  EXPECT_TRUE(refused("k", {{"type", "bool"}, {"value", 1}}));
  EXPECT_TRUE(refused("k", {{"type", "string"}, {"value", 1}}));
  EXPECT_TRUE(refused("k", {{"type", "f32"}, {"value", nullptr}}));
  EXPECT_TRUE(refused("k", {{"type", "f16"}, {"value", 1}}));
  EXPECT_TRUE(refused("k", {{"type", "u8"}}));
  EXPECT_TRUE(refused("k", "text"));
  EXPECT_TRUE(refused("", u32_value(1)));
  EXPECT_TRUE(
      refused("k", {{"type", "array"}, {"items", "array"}, {"value", ordered_json::array()}}));
  EXPECT_TRUE(refused("k", {{"type", "array"}, {"items", "u8"}, {"value", {1, 300}}}));
  EXPECT_TRUE(refused("k", {{"type", "array"}, {"items", "u8"}, {"value", 1}}));
  EXPECT_TRUE(refused("general.alignment", u32_value(64)));
  EXPECT_FALSE(refused("general.alignment", u32_value(32)));
}

}  // namespace
}  // namespace precis
