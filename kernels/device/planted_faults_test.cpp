// The test of the tests: the comparisons of the self-test find a product or a decoded weight that
// is wrong in one place.
#define PRECIS_DEVICE device_simt
#include "kernels/device/gguf.h"

#include <gtest/gtest.h>

#include "kernels/cpu/gguf/gguf.h"
#include "kernels/selftest/reference.h"
#include "kernels/simt/simt.h"

namespace precis::kernels::device_simt {
namespace {

constexpr uint32_t kRows = 40, kColumns = 512;

// A weight, activations and what they must give.
struct Product {
  GgufType type;
  WeightType activation;
  std::vector<uint8_t> blocks, x, bias;
  LinearCase expected;

  Product(GgufType of, WeightType with, uint32_t m) : type(of), activation(with) {
    Random random(m);
    const GgufCodec& codec =
        *gguf_codec(Isa::baseline, gguf_type_at(static_cast<uint32_t>(type)).name);
    blocks.resize(uint64_t{kRows} * kColumns / codec.block_size * codec.block_bytes);
    const std::vector<float> weight = normal_values(random, uint64_t{kRows} * kColumns);
    for (uint32_t row = 0; row < kRows; ++row)
      codec.quantize(&weight[uint64_t{row} * kColumns], kColumns, nullptr,
                     &blocks[blocks.size() / kRows * row]);
    x = encode(activation, normal_values(random, uint64_t{m} * kColumns));
    bias = encode(activation, normal_values(random, kRows));
    expected = {m,
                kRows,
                kColumns,
                activation,
                std::vector<float>(uint64_t{kRows} * kColumns),
                decode(activation, x),
                decode(activation, bias)};
    codec.dequantize(blocks.data(), uint64_t{kRows} * kColumns / codec.block_size,
                     expected.weight.data());
    if (m > 8) expected.weight = decode(activation, encode(activation, expected.weight));
  }

  std::string compare(const std::vector<uint8_t>& with_blocks, const std::vector<uint8_t>& with_x,
                      const std::vector<uint8_t>* with_bias) const {
    std::vector<uint8_t> y(uint64_t{expected.m} * kRows * 2);
    const char* error = linear_gguf(
        {type, kRows, kColumns, with_blocks.data()}, activation, with_x.data(),
        with_bias == nullptr ? nullptr : with_bias->data(), y.data(), expected.m, nullptr);
    if (error != nullptr) throw std::runtime_error(error);
    const double bound =
        expected.m <= 8 ? 8 * (kColumns / 32.0 + 16) * 0x1p-24 : kColumns * 0x1p-23;
    return compare_linear(expected, bound, y);
  }
};

// Few rows of x and the matrix units, for types with kernels of their own and one of each family.
class PlantedFaults : public testing::TestWithParam<std::tuple<GgufType, WeightType, uint32_t>> {
 protected:
  const Product product{std::get<0>(GetParam()), std::get<1>(GetParam()), std::get<2>(GetParam())};
};

TEST_P(PlantedFaults, NoneIsFoundWhereThereIsNone) {
  EXPECT_EQ(product.compare(product.blocks, product.x, &product.bias), "");
}

// The upper bit of a code or two of the first, of the middle and of the last block: what the
// rounding of four of y does not hide.
TEST_P(PlantedFaults, OneCode) {
  const GgufTypeShape& shape = gguf_type_at(static_cast<uint32_t>(product.type));
  for (const size_t block : {size_t{0}, product.blocks.size() / shape.block_bytes / 2,
                             product.blocks.size() / shape.block_bytes - 1}) {
    std::vector<uint8_t> wrong = product.blocks;
    wrong[block * shape.block_bytes + shape.block_bytes / 2] ^= 0x88;
    EXPECT_NE(product.compare(wrong, product.x, &product.bias), "") << "block " << block;
  }
}

// What a kernel gives that leaves out the last run of a row of x, or reads it twice.
TEST_P(PlantedFaults, OneRunOfX) {
  const size_t run = 16, last = product.x.size() - run;
  std::vector<uint8_t> lost = product.x, twice = product.x;
  std::fill_n(lost.begin() + static_cast<long>(last), run, uint8_t{0});
  std::copy_n(product.x.begin() + static_cast<long>(last - run), run,
              twice.begin() + static_cast<long>(last));
  EXPECT_NE(product.compare(product.blocks, lost, &product.bias), "");
  EXPECT_NE(product.compare(product.blocks, twice, &product.bias), "");
}

TEST_P(PlantedFaults, Bias) {
  EXPECT_NE(product.compare(product.blocks, product.x, nullptr), "");
}

// One bit of one decoded element.
TEST_P(PlantedFaults, OneDecodedBit) {
  const WeightType type = product.activation;
  const GgufTensor weight{product.type, kRows, kColumns, product.blocks.data()};
  std::vector<uint8_t> out(uint64_t{kRows} * kColumns * 2);
  ASSERT_EQ(dequantize_gguf(weight, type, out.data(), nullptr), nullptr);
  const std::vector<uint8_t> right = encode(type, product.expected.weight);
  EXPECT_EQ(compare_bits(type, right, out), "");
  out[out.size() - 2] ^= 1;
  EXPECT_NE(compare_bits(type, right, out), "");
}

std::string name_of_case(const testing::TestParamInfo<PlantedFaults::ParamType>& info) {
  const auto& [type, activation, m] = info.param;
  return std::string(gguf_type_at(static_cast<uint32_t>(type)).name) + "_" +
         kernels::name_of(activation) + "_" + std::to_string(m);
}
INSTANTIATE_TEST_SUITE_P(Types, PlantedFaults,
                         testing::Combine(testing::Values(GgufType::q8_0, GgufType::q4_k,
                                                          GgufType::q5_1, GgufType::q6_k,
                                                          GgufType::iq3_s),
                                          testing::Values(WeightType::f16, WeightType::bf16),
                                          testing::Values(4u, 20u)),
                         name_of_case);

}  // namespace
}  // namespace precis::kernels::device_simt
