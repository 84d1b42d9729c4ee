// Every compilation of HQQ's formats gives the bits of the plain one.
#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/hqq/hqq.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 24, kColumns = 160, kElements = kRows * kColumns;

std::vector<HqqGrid> grids() {
  std::vector<HqqGrid> list;
  for (const int bits : {8, 4, 3, 2, 1}) {
    list.push_back({bits, 1, kElements / 80, 80});
    list.push_back({bits, 0, 48, kElements / 48});
  }
  return list;
}

struct Fit {
  std::vector<float> scales, zeros;
  double error = 0;
};

Fit fit(Isa isa, WeightType type, const void* weight, const HqqGrid& grid, int levels) {
  Fit found{std::vector<float>(grid.groups()), std::vector<float>(grid.groups())};
  hqq_solver(isa).start(type, weight, grid, levels, false, 0, grid.groups(), found.scales.data(),
                        found.zeros.data());
  for (int i = 0; i < 3; ++i) {
    found.error = hqq_solver(isa).refine(type, weight, grid, levels, 0, grid.groups(),
                                         found.scales.data(), found.zeros.data());
  }
  return found;
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  return stored_as(WeightType::f32, values);
}

TEST(HqqVariants, FitAndPackAlike) {
  for (const HqqGrid& grid : grids()) {
    const int levels = (1 << grid.bits) - 1;
    for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
      for (const WeightType type : kWeightTypes) {
        const auto weight = stored_as(type, input.values);
        const auto packed = [&](Isa isa, const Fit& found) {
          std::vector<std::byte> words(grid.packed_bytes());
          hqq_kernels(isa).pack(type, weight.data(), grid, levels, found.scales.data(),
                                found.zeros.data(), 0, grid.packed_rows(), words.data());
          return words;
        };
        const Fit expected = fit(Isa::baseline, type, weight.data(), grid, levels);
        for (const Isa isa : faster_variants()) {
          const std::string where = std::string(isa_name(isa)) + ", " + input.name;
          const Fit found = fit(isa, type, weight.data(), grid, levels);
          expect_equal_numbers(WeightType::f32, bytes_of(expected.scales), bytes_of(found.scales),
                               grid.groups(), where);
          expect_equal_numbers(WeightType::f32, bytes_of(expected.zeros), bytes_of(found.zeros),
                               grid.groups(), where);
          EXPECT_EQ(packed(Isa::baseline, expected), packed(isa, expected)) << where;
          if (expected.error == expected.error) {
            EXPECT_EQ(expected.error, found.error) << where;
          }
        }
      }
    }
  }
}

TEST(HqqVariants, DecodeAlike) {
  for (const HqqGrid& grid : grids()) {
    std::vector<uint8_t> packed(grid.packed_bytes());
    for (uint64_t i = 0; i < packed.size(); ++i) packed[i] = static_cast<uint8_t>(i * 37);
    std::vector<float> scales(grid.groups()), zeros(grid.groups());
    for (uint64_t i = 0; i < grid.groups(); ++i) {
      scales[i] = 0.01f + 0.003f * static_cast<float>(i);
      zeros[i] = 7.3f - 0.21f * static_cast<float>(i);
    }
    for (const WeightType compute : kWeightTypes) {
      const auto stored_scales = stored_as(compute, scales),
                 stored_zeros = stored_as(compute, zeros);
      const HqqWeight weight{grid,    packed.data(),        compute,
                             compute, stored_scales.data(), stored_zeros.data()};
      for (const WeightType out_type : kWeightTypes) {
        const auto decode = [&](Isa isa) {
          std::vector<std::byte> out(kElements * 4);
          hqq_kernels(isa).dequantize(weight, 7, kElements, out_type, out.data());
          return out;
        };
        const auto expected = decode(Isa::baseline);
        for (const Isa isa : faster_variants())
          expect_equal_numbers(out_type, expected, decode(isa), kElements - 7, isa_name(isa));
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
