// Every compilation of quanto's formats gives the bits of the plain one.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/quanto/quanto.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 3, kColumns = 128 * 5, kGroup = 128, kGroups = kRows * kColumns / kGroup;

class QuantoBytes : public ::testing::TestWithParam<QuantoByteType> {};

TEST_P(QuantoBytes, are_the_same) {
  const uint64_t columns = kColumns - 5;  // ragged
  for (const auto& input : testing::variant_inputs(kRows, columns)) {
    for (const WeightType type : kWeightTypes) {
      const auto weight = stored_as(type, input.values);
      std::vector<uint8_t> expected(kRows * columns), codes(kRows * columns);
      std::vector<std::byte> expected_scales(kRows * 4), scales(kRows * 4);
      quanto_kernels(Isa::baseline)
          .quantize_bytes(GetParam(), type, weight.data(), columns, 0, kRows, expected.data(),
                          expected_scales.data());
      for (const Isa isa : faster_variants()) {
        const std::string where = std::string(isa_name(isa)) + ", " + input.name;
        quanto_kernels(isa).quantize_bytes(GetParam(), type, weight.data(), columns, 0, kRows,
                                           codes.data(), scales.data());
        EXPECT_EQ(expected, codes) << where;
        expect_equal_numbers(type, expected_scales, scales, kRows, where);
      }
    }
  }
}

TEST_P(QuantoBytes, decode_to_the_same_numbers) {
  std::vector<uint8_t> codes(256 * kRows);
  for (uint64_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 7);
  const auto scales_values = std::vector<float>{0.013f, 1.0f, 3.7e-5f};
  for (const WeightType scale_type : kWeightTypes) {
    const auto scales = stored_as(scale_type, scales_values);
    for (const WeightType out_type : kWeightTypes) {
      const auto decode = [&](Isa isa) {
        std::vector<std::byte> out(codes.size() * 4);
        quanto_kernels(isa).dequantize_bytes(GetParam(), scale_type, codes.data(), scales.data(),
                                             true, 256, 0, kRows, out_type, out.data());
        return out;
      };
      const auto expected = decode(Isa::baseline);
      for (const Isa isa : faster_variants())
        expect_equal_numbers(out_type, expected, decode(isa), codes.size(), isa_name(isa));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantoBytes,
                         ::testing::Values(QuantoByteType::int8, QuantoByteType::float8_e4m3fn,
                                           QuantoByteType::float8_e5m2));

TEST(QuantoGroups, are_the_same) {
  for (const int bits : {4, 2}) {
    for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
      for (const WeightType type : kWeightTypes) {
        const auto weight = stored_as(type, input.values);
        std::vector<uint8_t> expected(kRows * kColumns), codes(kRows * kColumns);
        std::vector<std::byte> expected_scales(kGroups * 4), scales(kGroups * 4),
            expected_shifts(kGroups * 4), shifts(kGroups * 4);
        quanto_kernels(Isa::baseline)
            .quantize_groups(bits, type, weight.data(), kGroup, 0, kGroups, expected.data(),
                             expected_scales.data(), expected_shifts.data());
        for (const Isa isa : faster_variants()) {
          const std::string where = std::string(isa_name(isa)) + ", " + input.name;
          quanto_kernels(isa).quantize_groups(bits, type, weight.data(), kGroup, 0, kGroups,
                                              codes.data(), scales.data(), shifts.data());
          EXPECT_EQ(expected, codes) << where;
          expect_equal_numbers(type, expected_scales, scales, kGroups, where);
          expect_equal_numbers(type, expected_shifts, shifts, kGroups, where);
        }
      }
    }
  }
}

TEST(QuantoGroups, decode_to_the_same_numbers) {
  std::mt19937 random(4);
  std::vector<uint8_t> packed(kRows * kColumns);
  for (auto& byte : packed) byte = static_cast<uint8_t>(random());
  std::vector<float> numbers(kGroups);
  for (auto& number : numbers) number = std::uniform_real_distribution<float>(-1, 1)(random);
  for (const int bits : {4, 2}) {
    for (const WeightType scale_type : kWeightTypes) {
      const auto scales = stored_as(scale_type, numbers), shifts = stored_as(scale_type, numbers);
      for (const WeightType out_type : kWeightTypes) {
        const auto decode = [&](Isa isa) {
          std::vector<std::byte> out(kGroups * kGroup * 4);
          quanto_kernels(isa).dequantize_groups(bits, scale_type, packed.data(), kGroups,
                                                scales.data(), shifts.data(), kGroup, 0, kGroups,
                                                out_type, out.data());
          return out;
        };
        const auto expected = decode(Isa::baseline);
        for (const Isa isa : faster_variants())
          expect_equal_numbers(out_type, expected, decode(isa), kGroups * kGroup, isa_name(isa));
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
