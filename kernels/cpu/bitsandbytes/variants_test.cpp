// Every compilation of bitsandbytes' formats gives the bits of the plain one.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/bitsandbytes/int8.h"
#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 3, kColumns = 64 * 41 + 29;  // ragged: blocks straddle rows

TEST(BitsAndBytesVariants, four_bit_codes_are_the_same) {
  const uint64_t n = kRows * kColumns;
  for (const FourBitType code : {FourBitType::nf4, FourBitType::fp4}) {
    for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
      for (const WeightType type : kWeightTypes) {
        const auto weight = stored_as(type, input.values);
        for (const uint64_t blocksize : {64u, 128u, 4096u, 32u}) {
          const uint64_t blocks = (n + blocksize - 1) / blocksize;
          const auto encode = [&](Isa isa, std::vector<float>& absmax) {
            std::vector<uint8_t> packed((n + 1) / 2);
            absmax.resize(blocks);
            blockwise_kernels(isa).quantize_4bit(code, type, weight.data(), n, blocksize, 0, blocks,
                                                 packed.data(), absmax.data());
            return packed;
          };
          std::vector<float> expected_absmax, absmax;
          const auto expected = encode(Isa::baseline, expected_absmax);
          for (const Isa isa : faster_variants()) {
            EXPECT_EQ(expected, encode(isa, absmax)) << isa_name(isa) << ", " << input.name;
            EXPECT_EQ(0, std::memcmp(absmax.data(), expected_absmax.data(), blocks * 4));
          }
        }
      }
    }
  }
}

TEST(BitsAndBytesVariants, four_bit_numbers_are_the_same) {
  std::mt19937 random(2);
  constexpr uint64_t kMany = (3u << 20) + 640;  // past the caches in every type
  std::vector<uint8_t> packed(kMany / 2);
  for (auto& byte : packed) byte = static_cast<uint8_t>(random());
  std::vector<float> absmax(kMany / 64);
  for (auto& value : absmax) value = std::uniform_real_distribution<float>(0.0f, 1.0f)(random);
  const std::pair<uint64_t, uint64_t> ranges[] = {
      {0, kMany}, {0, 64}, {1, 63}, {63, 64 * 9 + 1}, {128, kMany - 3}};
  for (const FourBitType code : {FourBitType::nf4, FourBitType::fp4}) {
    for (const WeightType out_type : kWeightTypes) {
      for (const auto& [begin, end] : ranges) {
        const auto decode = [&, begin = begin, end = end](Isa isa) {
          std::vector<std::byte> out((end - begin) * 4);
          blockwise_kernels(isa).dequantize_4bit(code, packed.data(), &absmax[begin / 64], 64,
                                                 begin, end, WeightType::bf16, out_type,
                                                 out.data());
          return out;
        };
        const auto expected = decode(Isa::baseline);
        for (const Isa isa : faster_variants())
          expect_equal_numbers(out_type, expected, decode(isa), end - begin, isa_name(isa));
      }
    }
  }
}

TEST(BitsAndBytesVariants, int8_rows_are_the_same) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : kWeightTypes) {
      const auto weight = stored_as(type, input.values);
      std::vector<int8_t> expected(kRows * kColumns), codes(kRows * kColumns);
      std::vector<float> expected_scb(kRows), scb(kRows);
      int8_row_kernels(Isa::baseline)
          .quantize(type, weight.data(), kColumns, 0, kRows, expected.data(), expected_scb.data());
      for (const Isa isa : faster_variants()) {
        const std::string where = std::string(isa_name(isa)) + ", " + input.name;
        int8_row_kernels(isa).quantize(type, weight.data(), kColumns, 0, kRows, codes.data(),
                                       scb.data());
        EXPECT_EQ(expected, codes) << where;
        EXPECT_EQ(0, std::memcmp(scb.data(), expected_scb.data(), kRows * 4)) << where;
        for (const WeightType out_type : kWeightTypes) {
          std::vector<std::byte> plain(kRows * kColumns * 4), out(kRows * kColumns * 4);
          int8_row_kernels(Isa::baseline)
              .dequantize(expected.data(), expected_scb.data(), kColumns, 0, kRows, out_type,
                          plain.data());
          int8_row_kernels(isa).dequantize(expected.data(), expected_scb.data(), kColumns, 0, kRows,
                                           out_type, out.data());
          expect_equal_numbers(out_type, plain, out, kRows * kColumns, where);
        }
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
