// Every compilation of the float8 kernels gives the bytes of the plain one.
#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/fp8/fp8.h"

namespace precis::kernels {
namespace {

constexpr uint64_t kRows = 6, kColumns = 150;
constexpr Fp8Tiles kTiles{kColumns, 4, 64};

using Bytes = std::vector<uint8_t>;

void expect_alike(const std::string& where, const std::function<Bytes(const Fp8Kernels&)>& run) {
  const Bytes plain = run(fp8_kernels(Isa::baseline));
  for (const Isa isa : testing::faster_variants())
    EXPECT_EQ(run(fp8_kernels(isa)), plain) << where << ", " << isa_name(isa);
}

TEST(Fp8Variants, EncodeAlike) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : testing::kWeightTypes) {
      const auto weight = testing::stored_as(type, input.values);
      expect_alike(input.name + ", tiles", [&](const Fp8Kernels& kernels) {
        Bytes codes(kRows * kColumns);
        std::vector<float> scales(6);
        kernels.quantize_tiles(type, weight.data(), kTiles, Fp8ScaleType::f32, 0, kRows,
                               codes.data(), scales.data());
        return codes;
      });
      expect_alike(input.name + ", rows", [&](const Fp8Kernels& kernels) {
        Bytes codes(kRows * kColumns);
        std::vector<float> scales(kRows);
        kernels.quantize_rows(type, weight.data(), kColumns, 0, kRows, codes.data(), scales.data());
        return codes;
      });
      expect_alike(input.name + ", given scales", [&](const Fp8Kernels& kernels) {
        Bytes codes(kRows * kColumns);
        const std::vector<float> scales{0.5f, 1e-3f, 0.0f, 2.0f, 1e-40f, 3e38f};
        kernels.quantize_on(type, weight.data(), kTiles, Fp8ScaleType::f32, scales.data(), 0, kRows,
                            codes.data());
        return codes;
      });
    }
  }
}

}  // namespace
}  // namespace precis::kernels
