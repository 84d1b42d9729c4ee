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

// A weight of numbers at random, with a residual codebook, outliers, columns out of order, scales
// and biases.
struct Case {
  uint64_t rows, columns, vector, groups;
  int bits, residual_bits;
  uint64_t outliers, outlier_vector;
};

void expect_alike(const Case& c) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const auto numbers = [&](uint64_t count) {
    std::vector<float> made(count);
    for (float& number : made) number = normal(random);
    return made;
  };
  constexpr uint64_t kOutlierCentroids = 16;
  const auto centroids = numbers((c.groups << c.bits) * c.vector);
  const auto residual = numbers((c.groups << c.residual_bits) * c.vector);
  const auto own = numbers(kOutlierCentroids * c.outlier_vector);
  const auto scales = numbers(c.columns), biases = numbers(c.columns);
  std::vector<uint32_t> places(c.columns);
  for (uint32_t i = 0; i < c.columns; ++i) places[i] = static_cast<uint32_t>(i * 7 % c.columns);
  for (const WeightType type : kWeightTypes) {
    const auto first = stored_as(type, centroids), second = stored_as(type, residual);
    const auto outliers = stored_as(type, own);
    const auto scale = stored_as(type, scales), bias = stored_as(type, biases);
    VptqWeight weight{};
    weight.rows = c.rows;
    weight.columns = c.columns;
    weight.type = type;
    weight.vector = c.vector;
    weight.groups = c.groups;
    weight.group_size = (c.columns - c.outliers) / c.groups;
    weight.bits = c.bits;
    weight.residual_bits = c.residual_bits;
    std::vector<uint32_t> indices(c.groups * weight.vectors() * weight.words());
    for (uint32_t& word : indices) word = static_cast<uint32_t>(random());
    std::vector<uint16_t> outlier_indices((c.rows + c.outlier_vector - 1) / c.outlier_vector *
                                          c.outliers);
    for (uint16_t& index : outlier_indices)
      index = static_cast<uint16_t>(random() % kOutlierCentroids);
    weight.indices = indices.data();
    weight.centroids = first.data();
    weight.residual = second.data();
    weight.outliers = c.outliers;
    weight.outlier_vector = c.outlier_vector;
    weight.outlier_indices = outlier_indices.data();
    weight.outlier_centroids = outliers.data();
    weight.places = places.data();
    weight.scales = scale.data();
    weight.biases = bias.data();
    for (const WeightType out_type : kWeightTypes) {
      const auto decode = [&](Isa isa, uint64_t begin, uint64_t end) {
        std::vector<std::byte> out((end - begin) * c.columns * 4);
        vptq_kernels(isa).dequantize(weight, begin, end, out_type, out.data());
        return out;
      };
      for (const auto& [begin, end] : {std::pair(uint64_t{0}, c.rows), {5, c.rows - 3}}) {
        for (const Isa isa : faster_variants())
          expect_equal_numbers(out_type, decode(Isa::baseline, begin, end), decode(isa, begin, end),
                               (end - begin) * c.columns, isa_name(isa));
      }
    }
  }
}

TEST(VptqVariants, DecodeAlike) {
  expect_alike({11, 40, 4, 2, 5, 3, 4, 2});
}

TEST(VptqVariants, DecodeVectorsOfEightAlike) {
  expect_alike({43, 72, 8, 1, 8, 4, 3, 8});
  expect_alike({43, 74, 16, 2, 6, 3, 2, 4});
}

}  // namespace
}  // namespace precis::kernels
