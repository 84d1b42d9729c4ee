// Every compilation of BitNet's kernels against the definition of the codes.
#include "kernels/cpu/bitnet/bitnet.h"

#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

constexpr uint64_t kRows = 12, kColumns = 77, kPackedRows = kRows / 4;

std::vector<uint8_t> any_codes() {
  std::mt19937 random(3);
  std::vector<uint8_t> codes(kPackedRows * kColumns);
  for (uint8_t& byte : codes) byte = static_cast<uint8_t>(random());
  return codes;
}

TEST(BitNetVariants, DecodeByTheDefinition) {
  const std::vector<uint8_t> codes = any_codes();
  const BitNetWeight weight{codes.data(), kPackedRows, kColumns, {-0.37f, 0, 0.37f, 0.74f}};
  for (const Isa isa : testing::faster_variants()) {
    std::vector<float> all(kRows * kColumns), part(kColumns - 5);
    bitnet_kernels(isa).dequantize(weight, 0, kRows, WeightType::f32, all.data());
    for (uint64_t row = 0; row < kRows; ++row) {
      for (uint64_t i = 0; i < kColumns; ++i) {
        const int code = codes[row % kPackedRows * kColumns + i] >> (row / kPackedRows * 2) & 3;
        EXPECT_EQ(all[row * kColumns + i], weight.values[code]) << isa_name(isa);
      }
      bitnet_kernels(isa).decode_floats(&weight, row, 5, kColumns, part.data());
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + row * kColumns + 5));
    }
  }
}

TEST(BitNetVariants, RoundAlike) {
  const std::vector<uint8_t> codes = any_codes();
  const BitNetWeight weight{codes.data(), kPackedRows, kColumns, {-0.37f, 0, 0.37f, 0.74f}};
  for (const WeightType type : testing::kWeightTypes) {
    const auto decode = [&](Isa isa) {
      std::vector<std::byte> out(kRows * kColumns * 4);
      bitnet_kernels(isa).dequantize(weight, 0, kRows, type, out.data());
      return out;
    };
    for (const Isa isa : testing::faster_variants())
      testing::expect_equal_numbers(type, decode(Isa::baseline), decode(isa), kRows * kColumns,
                                    isa_name(isa));
  }
}

TEST(BitNetVariants, EncodeAlike) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : testing::kWeightTypes) {
      const auto weight = testing::stored_as(type, input.values);
      const auto sums = [&](Isa isa) {
        std::vector<double> found(kRows);
        bitnet_kernels(isa).sum_rows(type, weight.data(), kColumns, 0, kRows, found.data());
        return found;
      };
      const auto codes = [&](Isa isa, float scale) {
        std::vector<uint8_t> found(kPackedRows * kColumns);
        bitnet_kernels(isa).encode(type, weight.data(), kPackedRows, kColumns, scale, 0,
                                   kPackedRows, found.data());
        return found;
      };
      for (const Isa isa : testing::faster_variants()) {
        EXPECT_EQ(sums(Isa::baseline), sums(isa)) << input.name << ", " << isa_name(isa);
        for (const float scale : {55.0f, 0.0f, 1e5f})
          EXPECT_EQ(codes(Isa::baseline, scale), codes(isa, scale)) << input.name;
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
