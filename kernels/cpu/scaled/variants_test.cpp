// Every compilation of narrow numbers with scales gives the bits of the plain one.
#include <gtest/gtest.h>

#include "kernels/cpu/common/microscaling.h"
#include "kernels/cpu/common/variant_inputs.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {
namespace {

using testing::expect_equal_numbers;
using testing::faster_variants;
using testing::kWeightTypes;
using testing::stored_as;

constexpr uint64_t kRows = 36, kColumns = 32 * 5;

struct Form {
  std::string name;
  NarrowType type;
  int bits;
  bool symmetric;
  ScaleRule rule;
  uint64_t tile_rows, tile_columns;
};

std::vector<Form> forms() {
  std::vector<Form> list;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const bool symmetric : {true, false}) {
      list.push_back({"packed_" + std::to_string(bits) + (symmetric ? "" : "_asymmetric"),
                      NarrowType::packed_int, bits, symmetric, ScaleRule::own, 1, 32});
    }
  }
  list.push_back({"int8", NarrowType::int8, 8, true, ScaleRule::own, 1, kColumns});
  list.push_back({"float8", NarrowType::float8_e4m3fn, 8, true, ScaleRule::own, 16, 48});
  list.push_back({"nvfp4", NarrowType::float4_e2m1, 4, true, ScaleRule::two_levels, 1, 16});
  list.push_back({"mxfp4", NarrowType::float4_e2m1, 4, true, ScaleRule::exponent, 1, 32});
  list.push_back(
      {"mxfp4_above", NarrowType::float4_e2m1, 4, true, ScaleRule::exponent_above, 1, 32});
  list.push_back({"int8_reciprocal", NarrowType::int8, 8, true, ScaleRule::own_reciprocal, 1, 64});
  list.push_back({"float8_signed_zeros", NarrowType::float8_e4m3fn, 8, true,
                  ScaleRule::own_reciprocal, 1, 64});
  list.push_back({"mxfp4_positive_zero", NarrowType::float4_e2m1, 4, true,
                  ScaleRule::exponent_positive_zero, 1, 32});
  list.push_back(
      {"int4_row_pairs", NarrowType::int4_row_pairs, 4, true, ScaleRule::float32, 1, 32});
  list.push_back({"float8_float32", NarrowType::float8_e4m3fn, 8, true, ScaleRule::float32, 7, 48});
  list.push_back(
      {"nvfp4_product", NarrowType::float4_e2m1, 4, true, ScaleRule::two_levels_product, 1, 16});
  list.push_back(
      {"mxfp4_ceiling", NarrowType::float4_e2m1, 4, true, ScaleRule::exponent_ceiling, 1, 32});
  list.push_back(
      {"mxfp8_ceiling", NarrowType::float8_e4m3fn, 8, true, ScaleRule::exponent_ceiling, 1, 32});
  list.push_back({"mxfp6", NarrowType::float6_e2m3, 6, true, ScaleRule::exponent, 1, 32});
  list.push_back({"mxfp8", NarrowType::float8_e4m3fn, 8, true, ScaleRule::exponent, 1, 32});
  return list;
}

struct Encoded {
  std::vector<std::byte> codes, scales, zeros;
  float global = 1;
};

// Scales are numbers of the weight's dtype.
bool has_own_scales(const Form& form) {
  return form.rule == ScaleRule::own || form.rule == ScaleRule::own_reciprocal;
}

ScaleType scale_type(const Form& form, WeightType type) {
  if (form.rule == ScaleRule::two_levels || form.rule == ScaleRule::two_levels_product)
    return ScaleType::e4m3fn;
  if (!has_own_scales(form) && form.rule != ScaleRule::float32) return ScaleType::e8m0;
  if (form.rule == ScaleRule::float32 || type == WeightType::f32) return ScaleType::f32;
  return type == WeightType::f16 ? ScaleType::f16 : ScaleType::bf16;
}

ScaledEncoding encoding_of(const Form& form) {
  ScaledEncoding encoding;
  encoding.rows = {form.type, form.bits, false, kColumns};
  encoding.tiles = {form.tile_rows, form.tile_columns,
                    (kColumns + form.tile_columns - 1) / form.tile_columns};
  encoding.scale_rule = form.rule;
  encoding.symmetric = form.symmetric;
  encoding.bits = form.bits;
  encoding.zero_type = form.symmetric ? ZeroType::none : ZeroType::packed;
  return encoding;
}

Encoded encode(Isa isa, const Form& form, WeightType type, const std::vector<std::byte>& weight) {
  const ScaledKernels& kernels = scaled_kernels(isa);
  const ScaledEncoding encoding = encoding_of(form);
  const uint64_t tile_rows = (kRows + form.tile_rows - 1) / form.tile_rows;
  const uint64_t tiles = tile_rows * encoding.tiles.per_row;
  Encoded made{std::vector<std::byte>(kRows * encoding.rows.row_bytes()),
               std::vector<std::byte>(tiles * sizeof(float)),
               std::vector<std::byte>(tiles * sizeof(float))};
  const ValueRange whole = kernels.range(type, weight.data(), 0, kRows * kColumns);
  made.global = form.rule == ScaleRule::two_levels_product ? std::max(whole.high, -whole.low) / 2688
                                                           : kernels.global_scale(type, whole);
  kernels.quantize(type, weight.data(), encoding, nullptr, made.global, 0, kRows, made.codes.data(),
                   made.scales.data(), made.zeros.data());
  return made;
}

std::vector<std::byte> decode(Isa isa, const Form& form, const Encoded& made, WeightType type,
                              WeightType out_type) {
  const ScaledEncoding encoding = encoding_of(form);
  ScaledWeight weight{};
  weight.rows = encoding.rows;
  weight.tiles = encoding.tiles;
  weight.codes = made.codes.data();
  weight.scales = made.scales.data();
  weight.zero_type = encoding.zero_type;
  weight.zeros = made.zeros.data();
  weight.rounding = has_own_scales(form) ? type : WeightType::bf16;
  weight.scale_type = scale_type(form, type);
  if (form.rule == ScaleRule::two_levels) weight.divisor = made.global;
  std::vector<std::byte> out(kRows * kColumns * sizeof(float));
  scaled_kernels(isa).dequantize(weight, 0, kRows, out_type, out.data());
  return out;
}

class Scaled : public ::testing::TestWithParam<Form> {};

TEST_P(Scaled, variants_encode_and_decode_to_the_same_bits) {
  for (const auto& input : testing::variant_inputs(kRows, kColumns)) {
    for (const WeightType type : kWeightTypes) {
      const auto weight = stored_as(type, input.values);
      const Encoded expected = encode(Isa::baseline, GetParam(), type, weight);
      for (const Isa isa : faster_variants()) {
        const std::string where = std::string(isa_name(isa)) + ", " + input.name;
        const Encoded made = encode(isa, GetParam(), type, weight);
        ASSERT_EQ(made.codes, expected.codes) << where;
        if (has_own_scales(GetParam()))
          expect_equal_numbers(type, expected.scales, made.scales,
                               expected.scales.size() / sizeof(float), where);
        else
          ASSERT_EQ(made.scales, expected.scales) << where;
        ASSERT_EQ(made.zeros, expected.zeros) << where;
        for (const WeightType out_type : kWeightTypes)
          expect_equal_numbers(
              out_type, decode(Isa::baseline, GetParam(), expected, type, out_type),
              decode(isa, GetParam(), expected, type, out_type), kRows * kColumns, where);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, Scaled, ::testing::ValuesIn(forms()),
                         [](const auto& info) { return info.param.name; });

TEST(Microscaling, every_code_is_its_own_nearest) {
  for (int code = 0; code < 16; ++code) {
    const int expected = code == 8 ? 0 : code;  // -0.0 is read, and not written
    EXPECT_EQ(float_to_float4_e2m1(kFloat4E2M1[code]), expected);
  }
  for (int code = 0; code < 64; ++code) {
    const auto bits = static_cast<uint8_t>(code);
    EXPECT_EQ(float_to_float6_e2m3(float6_e2m3_to_float(bits)), bits);
  }
}

TEST(Microscaling, ties_go_to_the_even_code) {
  const float ties[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  const float nearest[] = {0.0f, 1.0f, 1.0f, 2.0f, 2.0f, 4.0f, 4.0f};
  for (int i = 0; i < 7; ++i) EXPECT_EQ(kFloat4E2M1[float_to_float4_e2m1(ties[i])], nearest[i]);
  EXPECT_EQ(float_to_float4_e2m1(-0.1f), 8);
  EXPECT_EQ(float_to_float4_e2m1(1e30f), 7);
}

}  // namespace
}  // namespace precis::kernels
