// The bit stream's recorded words, and every compilation of VPTQ's kernels against the plain one.
#include "kernels/cpu/vptq/vptq.h"

#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

std::vector<uint32_t> packed(const std::vector<uint32_t>& numbers, int bits) {
  std::vector<uint32_t> words((numbers.size() * static_cast<std::size_t>(bits) + 31) / 32);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    put_stream_bits(words.data(), i, bits, numbers[i]);
  return words;
}

// What vptq's own packer made of them (utils/pack.py of 0.0.4).
TEST(VptqStream, HasTheWordsOfTheLibrary) {
  const std::vector<uint32_t> main{1, 4095, 7, 2048, 5}, residual{3, 255, 0, 128, 9};
  std::vector<uint32_t> both;
  for (std::size_t i = 0; i < main.size(); ++i) both.push_back(residual[i] << 12 | main[i]);
  const std::vector<uint32_t> words = packed(both, 20);
  EXPECT_EQ(words, (std::vector<uint32_t>{0xfff03001, 0x000007ff, 0x90058080, 0x00000000}));
  for (std::size_t i = 0; i < both.size(); ++i)
    EXPECT_EQ(stream_bits(words.data(), i, 20), both[i]);
  EXPECT_EQ(packed({65535, 0, 1, 32768}, 16), (std::vector<uint32_t>{0x0000ffff, 0x80000001}));
}

TEST(VptqVariants, DecodeAlike) {
  constexpr uint64_t kRows = 11, kColumns = 40, kOutliers = 4;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const auto numbers = [&](uint64_t count) {
    std::vector<float> made(count);
    for (float& number : made) number = normal(random);
    return made;
  };
  const auto centroids = numbers(2 * 32 * 4), residual = numbers(2 * 8 * 4), own = numbers(16 * 2);
  const auto scales = numbers(kColumns), biases = numbers(kColumns);
  std::vector<uint32_t> indices(2 * 3 * 5), places(kColumns);
  for (uint32_t& word : indices) word = static_cast<uint32_t>(random());
  std::vector<uint16_t> outlier_indices(6 * kOutliers);
  for (uint16_t& index : outlier_indices) index = static_cast<uint16_t>(random() % 16);
  for (uint32_t i = 0; i < kColumns; ++i) places[i] = i * 7 % kColumns;
  for (const WeightType type : kWeightTypes) {
    const auto first = stored_as(type, centroids), second = stored_as(type, residual);
    const auto outliers = stored_as(type, own);
    const auto scale = stored_as(type, scales), bias = stored_as(type, biases);
    const VptqWeight weight{kRows,
                            kColumns,
                            type,
                            4,
                            2,
                            18,
                            5,
                            3,
                            indices.data(),
                            first.data(),
                            second.data(),
                            kOutliers,
                            2,
                            outlier_indices.data(),
                            outliers.data(),
                            places.data(),
                            scale.data(),
                            bias.data()};
    ASSERT_EQ(weight.words() * weight.vectors() * 2, indices.size());
    const auto decode = [&](Isa isa) {
      std::vector<std::byte> out(kRows * kColumns * 4);
      vptq_kernels(isa).dequantize(weight, 0, kRows, type, out.data());
      return out;
    };
    for (const Isa isa : faster_variants())
      expect_equal_numbers(type, decode(Isa::baseline), decode(isa), kRows * kColumns,
                           isa_name(isa));
  }
}

TEST(VptqVariants, DecodeVectorsOfEightAlike) {
  constexpr uint64_t kRows = 43, kColumns = 72, kOutliers = 3;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const auto numbers = [&](uint64_t count) {
    std::vector<float> made(count);
    for (float& number : made) number = normal(random);
    return made;
  };
  const auto centroids = numbers(256 * 8), residual = numbers(16 * 8), own = numbers(16 * 8);
  const auto scales = numbers(kColumns), biases = numbers(kColumns);
  constexpr uint64_t kStored = kColumns - kOutliers, kWords = (kStored * 12 + 31) / 32;
  std::vector<uint32_t> indices(6 * kWords), places(kColumns);
  for (uint32_t& word : indices) word = static_cast<uint32_t>(random());
  std::vector<uint16_t> outlier_indices(6 * kOutliers);
  for (uint16_t& index : outlier_indices) index = static_cast<uint16_t>(random() % 16);
  for (uint32_t i = 0; i < kColumns; ++i) places[i] = i * 5 % kColumns;
  for (const WeightType type : kWeightTypes) {
    const auto first = stored_as(type, centroids), second = stored_as(type, residual);
    const auto outliers = stored_as(type, own);
    const auto scale = stored_as(type, scales), bias = stored_as(type, biases);
    const VptqWeight weight{kRows,
                            kColumns,
                            type,
                            8,
                            1,
                            kStored,
                            8,
                            4,
                            indices.data(),
                            first.data(),
                            second.data(),
                            kOutliers,
                            8,
                            outlier_indices.data(),
                            outliers.data(),
                            places.data(),
                            scale.data(),
                            bias.data()};
    ASSERT_EQ(weight.words() * weight.vectors(), indices.size());
    for (const WeightType out_type : kWeightTypes) {
      const auto decode = [&](Isa isa, uint64_t begin, uint64_t end) {
        std::vector<std::byte> out((end - begin) * kColumns * 4);
        vptq_kernels(isa).dequantize(weight, begin, end, out_type, out.data());
        return out;
      };
      for (const Isa isa : faster_variants()) {
        expect_equal_numbers(out_type, decode(Isa::baseline, 0, kRows), decode(isa, 0, kRows),
                             kRows * kColumns, isa_name(isa));
        expect_equal_numbers(out_type, decode(Isa::baseline, 5, 30), decode(isa, 5, 30),
                             25 * kColumns, isa_name(isa));
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
