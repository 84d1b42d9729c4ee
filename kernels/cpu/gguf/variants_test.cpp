// Every compilation of every block type gives the bits of the plain one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/gguf/gguf.h"

namespace precis::kernels {
namespace {

constexpr uint64_t kRows = 3, kColumns = 256 * 7;  // super-blocks that do not fill the lanes evenly

using testing::faster_variants;

class GgufVariants : public ::testing::TestWithParam<uint64_t> {
 protected:
  const GgufCodec& plain() const { return gguf_codec_at(Isa::baseline, GetParam()); }
  uint64_t row_bytes() const { return kColumns / plain().block_size * plain().block_bytes; }

  // The instruction sets with an encoder of their own.
  std::vector<Isa> encoders() const {
    std::vector<Isa> isas = faster_variants();
    const auto same = [](Isa a, Isa b) {
      return gguf_codec_at(a, GetParam()).quantize == gguf_codec_at(b, GetParam()).quantize;
    };
    isas.erase(std::unique(isas.begin(), isas.end(), same), isas.end());
    return isas;
  }

  std::vector<uint8_t> encode(const GgufCodec& codec, const std::vector<float>& values,
                              const float* importance) const {
    std::vector<uint8_t> blocks(kRows * row_bytes(), 0xcc);
    for (uint64_t row = 0; row < kRows; ++row)
      codec.quantize(&values[row * kColumns], kColumns, importance, &blocks[row * row_bytes()]);
    return blocks;
  }

  // The first block in which two results differ, as text; empty: none.
  std::string difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) const {
    for (uint64_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) {
        return "block " + std::to_string(i / plain().block_bytes) + ", byte " +
               std::to_string(i % plain().block_bytes);
      }
    }
    return "";
  }
};

TEST_P(GgufVariants, encode_the_same_blocks) {
  std::vector<float> importance(kColumns), sparse(kColumns);
  std::mt19937 random(3);
  for (uint64_t i = 0; i < kColumns; ++i) {
    importance[i] = std::uniform_real_distribution<float>(0.01f, 2.0f)(random);
    sparse[i] = i / 32 % 3 == 0 || i % 7 == 0 ? 0.0f : importance[i];
  }
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const float* weights :
         std::initializer_list<const float*>{nullptr, importance.data(), sparse.data()}) {
      if (weights == nullptr && plain().needs_importance) continue;
      const auto expected = encode(plain(), input.values, weights);
      for (const Isa isa : encoders()) {
        EXPECT_EQ(
            difference(expected, encode(gguf_codec_at(isa, GetParam()), input.values, weights)), "")
            << plain().name << ", " << isa_name(isa) << ", " << input.name
            << (weights == nullptr         ? ""
                : weights == sparse.data() ? ", sparse matrix"
                                           : ", matrix");
      }
    }
  }
}

TEST_P(GgufVariants, decode_the_same_numbers) {
  std::mt19937 random(5);
  std::vector<uint8_t> blocks(kRows * row_bytes());
  for (auto& byte : blocks) byte = static_cast<uint8_t>(random());
  const uint64_t count = kRows * kColumns / plain().block_size;
  std::vector<float> expected(kRows * kColumns);
  plain().dequantize(blocks.data(), count, expected.data());
  for (const Isa isa : faster_variants()) {
    std::vector<float> decoded(kRows * kColumns);
    gguf_codec_at(isa, GetParam()).dequantize(blocks.data(), count, decoded.data());
    for (uint64_t i = 0; i < decoded.size(); ++i) {
      if (std::isnan(expected[i]) && std::isnan(decoded[i])) continue;
      ASSERT_EQ(std::bit_cast<uint32_t>(expected[i]), std::bit_cast<uint32_t>(decoded[i]))
          << plain().name << ", " << isa_name(isa) << ", element " << i;
    }
  }
}

// Outputs of a size that is written past the caches, at an address that no line begins at.
TEST_P(GgufVariants, decode_to_every_number_type) {
  const uint64_t blocks_needed = (5u << 20) / 4 / plain().block_size;
  std::mt19937 random(6);
  std::vector<uint8_t> blocks(blocks_needed * plain().block_bytes);
  for (auto& byte : blocks) byte = static_cast<uint8_t>(random());
  const uint64_t count = blocks_needed * plain().block_size;
  std::vector<float> values(count);
  plain().dequantize(blocks.data(), blocks_needed, values.data());
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    for (const uint64_t some : {blocks_needed, uint64_t{3}}) {
      std::vector<Isa> variants = faster_variants();
      variants.push_back(Isa::baseline);
      for (const Isa isa : variants) {
        std::vector<std::byte> out(count * 4 + 64);
        std::byte* first = out.data() + 4;
        gguf_dequantize(isa, gguf_codec_at(isa, GetParam()), blocks.data(), some, type, first);
        with_type(type, [&](auto tag) {
          using Type = decltype(tag);
          const auto* decoded = reinterpret_cast<const typename Type::Stored*>(first);
          for (uint64_t i = 0; i < some * plain().block_size; ++i) {
            const float expected = Type::round(values[i]);
            if (std::isnan(expected) && std::isnan(Type::load(decoded, i))) continue;
            ASSERT_EQ(expected, Type::load(decoded, i)) << isa_name(isa) << ", element " << i;
          }
        });
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufVariants, ::testing::Range(uint64_t{0}, gguf_codec_count()),
                         [](const auto& info) {
                           return std::string(gguf_codec_at(Isa::baseline, info.param).name);
                         });

}  // namespace
}  // namespace precis::kernels
