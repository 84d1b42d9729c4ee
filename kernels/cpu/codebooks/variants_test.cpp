// Every compilation of the search gives the codes of the plain one.
#include "kernels/cpu/codebooks/codebooks.h"

#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

using testing::faster_variants;

TEST(CodebookVariants, FindTheSameCodewords) {
  constexpr uint64_t kSize = 8, kPoints = 40, kWords = 100;
  for (const auto& input : testing::variant_inputs(kPoints, kSize)) {
    const auto words = testing::variant_inputs(kWords, kSize)[0].values;
    std::vector<float> half_norms(kWords, 0.01f), scores(kWords);
    const auto find = [&](Isa isa) {
      std::vector<uint16_t> codes(kPoints);
      codebook_kernels(isa).nearest(input.values.data(), kSize, 0, kPoints, words.data(),
                                    half_norms.data(), kWords, scores.data(), codes.data());
      return codes;
    };
    for (const Isa isa : faster_variants()) EXPECT_EQ(find(Isa::baseline), find(isa)) << input.name;
  }
}

}  // namespace
}  // namespace precis::kernels
