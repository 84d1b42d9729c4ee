// Every compilation of AQLM's kernels gives the bits of the plain one.
#include "kernels/cpu/aqlm/aqlm.h"

#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

TEST(AqlmVariants, DecodeAlike) {
  for (const AqlmShape& shape : {AqlmShape{8, 64, 1, 8, 2, 8}, AqlmShape{8, 64, 2, 16, 1, 12},
                                 AqlmShape{6, 60, 3, 5, 3, 5}}) {
    std::vector<int16_t> codes(shape.blocks() * shape.codebooks);
    for (uint64_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int16_t>(i * 2731);
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> books(shape.codebooks * shape.codewords() * shape.block_size());
    for (float& number : books) number = normal(random);
    const std::vector<float> scales(shape.out_groups(), 0.37f);
    for (const WeightType type : kWeightTypes) {
      const auto stored = stored_as(type, books), stored_scales = stored_as(type, scales);
      const AqlmWeight weight{shape,
                              codes.data(),
                              shape.in_groups() * shape.codebooks,
                              shape.codebooks,
                              type,
                              stored.data(),
                              stored_scales.data()};
      const auto decode = [&](Isa isa) {
        std::vector<std::byte> out(shape.rows * shape.columns * 4);
        aqlm_kernels(isa).dequantize(weight, 0, shape.rows, type, out.data());
        return out;
      };
      for (const Isa isa : faster_variants())
        expect_equal_numbers(type, decode(Isa::baseline), decode(isa), shape.rows * shape.columns,
                             isa_name(isa));
    }
  }
}

}  // namespace
}  // namespace precis::kernels
