// Every compilation rounds activations to the bits of the plain one.
#include <gtest/gtest.h>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 7, kColumns = 150;

std::vector<ActivationRounding> roundings() {
  std::vector<ActivationRounding> list;
  for (const auto rule : {ActivationRule::torchao_integer, ActivationRule::torchao_fake_integer,
                          ActivationRule::float8, ActivationRule::compressed_integer,
                          ActivationRule::compressed_float8, ActivationRule::bitnet}) {
    for (const uint64_t group : {uint64_t{0}, uint64_t{50}}) {
      ActivationRounding rounding{rule};
      rounding.group = group;
      list.push_back(rounding);
      rounding.symmetric = false;
      rounding.largest = 0.5f;
      rounding.smallest_scale = 1e-4f;
      list.push_back(rounding);
    }
  }
  return list;
}

TEST(ActivationVariants, RoundAlike) {
  for (const ActivationRounding& rounding : roundings()) {
    for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
      for (const WeightType type : kWeightTypes) {
        const auto x = stored_as(type, input.values);
        const WeightType out = in_own_dtype(rounding.rule) ? type : WeightType::f32;
        const auto rounded = [&](Isa isa) {
          std::vector<std::byte> numbers(kRows * kColumns * sizeof(float));
          activation_kernels(isa).round(rounding, type, x.data(), kColumns, kRows, kColumns, out,
                                        numbers.data());
          return numbers;
        };
        const auto expected = rounded(Isa::baseline);
        for (const Isa isa : faster_variants()) {
          expect_equal_numbers(out, expected, rounded(isa), kRows * kColumns,
                               std::string(isa_name(isa)) + ", " + input.name + ", rule " +
                                   std::to_string(static_cast<int>(rounding.rule)));
        }
      }
    }
  }
}

TEST(Activations, RowsOfZerosStayZero) {
  for (const ActivationRounding& rounding : roundings()) {
    for (const WeightType type : kWeightTypes) {
      const std::vector<float> x(kColumns);  // zeros in each of the dtypes
      std::vector<float> out(kColumns, 1.0f);
      activation_kernels(Isa::baseline)
          .round(rounding, type, x.data(), kColumns, 1, kColumns,
                 in_own_dtype(rounding.rule) ? type : WeightType::f32, out.data());
      const uint64_t numbers =
          in_own_dtype(rounding.rule) && type != WeightType::f32 ? kColumns / 2 : kColumns;
      for (uint64_t i = 0; i < numbers; ++i)
        ASSERT_EQ(out[i], 0.0f) << "rule " << static_cast<int>(rounding.rule);
    }
  }
}

}  // namespace
}  // namespace precis::kernels
