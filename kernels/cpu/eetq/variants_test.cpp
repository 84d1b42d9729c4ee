// Every compilation of EETQ's kernels gives the bits of the plain one.
#include "kernels/cpu/eetq/eetq.h"

#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"

namespace precis::kernels {
namespace {

constexpr uint64_t kRows = 6, kColumns = 192;

struct Encoded {
  std::vector<uint8_t> codes;
  std::vector<uint16_t> scales;
  bool operator==(const Encoded&) const = default;
};

Encoded encode(Isa isa, WeightType type, const std::vector<std::byte>& weight) {
  Encoded made{std::vector<uint8_t>(kRows * kColumns), std::vector<uint16_t>(kRows)};
  eetq_kernels(isa).quantize(type, weight.data(), kColumns, 0, kRows, made.codes.data(),
                             made.scales.data());
  return made;
}

TEST(EetqVariants, EncodeAndDecodeAlike) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : testing::kWeightTypes) {
      const auto weight = testing::stored_as(type, input.values);
      const Encoded plain = encode(Isa::baseline, type, weight);
      const auto decode = [&](Isa isa) {
        std::vector<std::byte> out(kRows * kColumns * 4);
        eetq_kernels(isa).dequantize(plain.codes.data(), plain.scales.data(), kColumns, 0, kRows,
                                     type, out.data());
        return out;
      };
      for (const Isa isa : testing::faster_variants()) {
        EXPECT_EQ(encode(isa, type, weight), plain) << input.name << ", " << isa_name(isa);
        testing::expect_equal_numbers(type, decode(Isa::baseline), decode(isa), kRows * kColumns,
                                      input.name);
      }
    }
  }
}

}  // namespace
}  // namespace precis::kernels
