// Every compilation of torchao's formats gives the bits of the plain one.
#include <gtest/gtest.h>

#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 8, kColumns = 384, kBlock = 96, kElements = kRows * kColumns;
constexpr uint64_t kPaddedColumns = 1024, kTileBlock = 64;
constexpr AoBlocks kBlocks{kColumns, kBlock};

// What an encoder wrote.
struct Written {
  std::vector<uint8_t> codes;
  std::vector<std::byte> scales, zeros;
};

template <typename Encode>
void expect_all_alike(Encode encode) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : kWeightTypes) {
      const auto weight = stored_as(type, input.values);
      const Written expected = encode(Isa::baseline, type, weight.data());
      for (const Isa isa : faster_variants()) {
        const std::string where = std::string(isa_name(isa)) + ", " + input.name;
        const Written found = encode(isa, type, weight.data());
        EXPECT_EQ(expected.codes, found.codes) << where;
        const uint64_t count = expected.scales.size() / 4;
        expect_equal_numbers(type, expected.scales, found.scales, count, where);
        expect_equal_numbers(type, expected.zeros, found.zeros, count, where);
      }
    }
  }
}

struct Ranges {
  std::vector<float> scales = std::vector<float>(kElements / kBlock);
  std::vector<int8_t> zeros = std::vector<int8_t>(kElements / kBlock);
};

Ranges fit(Isa isa, WeightType type, const void* weight, AoMapping mapping, AoCodeRange range) {
  std::vector<float> lows(kElements / kBlock), highs(kElements / kBlock);
  ao_encoders(isa).ranges(type, weight, kBlocks, 0, kRows, lows.data(), highs.data());
  Ranges found;
  for (uint64_t i = 0; i < lows.size(); ++i) {
    const AoParameters parameters =
        ao_parameters(mapping, type, range, smallest_normal(type), lows[i], highs[i]);
    found.scales[i] = parameters.scale;
    found.zeros[i] = parameters.zero_point;
  }
  return found;
}

TEST(TorchAoVariants, EncodeIntegersAlike) {
  for (const AoMapping mapping :
       {AoMapping::symmetric, AoMapping::symmetric_no_clipping_error, AoMapping::asymmetric}) {
    for (const AoCodeRange range : {AoCodeRange{-128, 127}, AoCodeRange{-8, 7}}) {
      for (const bool rounded : {false, true}) {
        expect_all_alike([&](Isa isa, WeightType type, const void* weight) {
          const Ranges found = fit(isa, type, weight, mapping, range);
          Written written{std::vector<uint8_t>(kElements), {}, {}};
          ao_encoders(isa).int8_codes(type, weight, kBlocks, found.scales.data(),
                                      found.zeros.data(), range, rounded, 0, kRows,
                                      reinterpret_cast<int8_t*>(written.codes.data()));
          return written;
        });
      }
    }
  }
}

TEST(TorchAoVariants, EncodeFloat8Alike) {
  for (const AoCodes format : {AoCodes::float8_e4m3fn, AoCodes::float8_e5m2}) {
    expect_all_alike([&](Isa isa, WeightType type, const void* weight) {
      const Ranges found = fit(isa, type, weight, AoMapping::symmetric, {-128, 127});
      Written written{std::vector<uint8_t>(kElements), {}, {}};
      ao_encoders(isa).float8_codes(format, type, weight, kBlocks, found.scales.data(), 0, kRows,
                                    written.codes.data());
      // Of a NaN any code is one.
      const uint8_t nan = format == AoCodes::float8_e4m3fn ? 0x7f : 0x7d;
      for (uint8_t& code : written.codes) {
        if ((code & 0x7f) >= nan) code = nan;
      }
      return written;
    });
  }
}

TEST(TorchAoVariants, EncodePairsAlike) {
  expect_all_alike([](Isa isa, WeightType type, const void* weight) {
    Written written{std::vector<uint8_t>(kElements / 2),
                    std::vector<std::byte>(kElements / kBlock * 4),
                    std::vector<std::byte>(kElements / kBlock * 4)};
    ao_encoders(isa).int4_pairs(type, weight, kRows, kColumns, kBlock, 0, kRows,
                                written.codes.data(), written.scales.data(), written.zeros.data());
    return written;
  });
}

std::vector<uint32_t> tiles_of(Isa isa, const std::vector<float>& values,
                               std::vector<uint16_t>& scales) {
  const auto weight = stored_as(WeightType::bf16, values);
  std::vector<uint32_t> qdata(kRows * kPaddedColumns / 8);
  scales.assign(kPaddedColumns / kTileBlock * kRows * 2, 0);
  ao_encoders(isa).int4_tiles(reinterpret_cast<const uint16_t*>(weight.data()), kRows, kColumns,
                              kTileBlock, kRows, kPaddedColumns, 0, kRows / 8, qdata.data(),
                              scales.data());
  return qdata;
}

TEST(TorchAoVariants, EncodeTilesAlike) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    std::vector<uint16_t> expected_scales, scales;
    const auto expected = tiles_of(Isa::baseline, input.values, expected_scales);
    for (const Isa isa : faster_variants()) {
      EXPECT_EQ(expected, tiles_of(isa, input.values, scales)) << input.name;
      for (uint64_t i = 0; i < scales.size(); ++i) {
        const float a = bfloat16_to_float(expected_scales[i]), b = bfloat16_to_float(scales[i]);
        EXPECT_TRUE(a == b || (a != a && b != b)) << input.name;
      }
    }
  }
}

// The word that aten's _convert_weight_to_int4pack makes of codes (row + column) mod 16.
TEST(TorchAoTiles, LieInTheOrderOfTinygemm) {
  // A weight whose codes are these: its scale is 1 and its lowest value -8.
  std::vector<float> values(kRows * kColumns);
  for (uint64_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((i / kColumns + i % kColumns) % 16) - 8;
  std::vector<uint16_t> scales;
  EXPECT_EQ(tiles_of(Isa::baseline, values, scales)[0], 0x91918080u);
}

TEST(TorchAoVariants, DecodeAlike) {
  std::vector<uint8_t> codes(kRows * kPaddedColumns / 2 + kElements);
  for (uint64_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 29);
  std::vector<int8_t> zero_points(kElements / 32, -3);
  std::vector<float> numbers(kPaddedColumns / 32 * kRows * 2);
  for (uint64_t i = 0; i < numbers.size(); ++i) numbers[i] = 0.01f + 0.001f * static_cast<float>(i);
  for (const WeightType type : kWeightTypes) {
    const auto scales = stored_as(type, numbers);
    for (const AoCodes format : {AoCodes::int8, AoCodes::float8_e4m3fn, AoCodes::float8_e5m2,
                                 AoCodes::int4_pairs, AoCodes::int4_tiles}) {
      const bool tiles = format == AoCodes::int4_tiles;
      if (tiles && type != WeightType::bf16) continue;
      const AoWeight weight{format,
                            codes.data(),
                            kRows,
                            kColumns,
                            1,
                            kTileBlock,
                            type,
                            scales.data(),
                            format == AoCodes::int8 ? zero_points.data() : nullptr,
                            scales.data(),
                            type,
                            kRows,
                            kPaddedColumns};
      const auto decode = [&](Isa isa) {
        std::vector<std::byte> out(kElements * 4);
        ao_decoders(isa).dequantize(weight, 0, kRows, type, out.data());
        return out;
      };
      const auto expected = decode(Isa::baseline);
      for (const Isa isa : faster_variants())
        expect_equal_numbers(type, expected, decode(isa), kElements, isa_name(isa));
    }
  }
}

}  // namespace
}  // namespace precis::kernels
