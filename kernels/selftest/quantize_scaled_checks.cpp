// Encoders of narrow integers and floats with scales for tiles, against kernels/cpu/scaled.
// Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <cmath>
#include <limits>

#include "kernels/device/scaled.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Form {
  std::string name;
  uint32_t rows, columns;
  NarrowType type;
  int bits;
  ScaleRule rule;
  uint32_t tile_rows, tile_columns;  // 0: all
  bool symmetric = true;
  ZeroType zero_type = ZeroType::none;
  float divisor = 0;
  bool float_scales = false;

  bool one_tile() const { return tile_rows == 0; }
  ScaledEncoding encoding() const {
    ScaledEncoding out{{type, bits, false, columns}, {}};
    out.tiles.rows = tile_rows == 0 ? rows : tile_rows;
    out.tiles.columns = tile_columns == 0 ? columns : tile_columns;
    out.tiles.per_row = (columns + out.tiles.columns - 1) / out.tiles.columns;
    out.scale_rule = rule;
    out.symmetric = symmetric;
    out.zero_type = zero_type;
    out.bits = bits;
    return out;
  }
};

// With rows of zeros, of one sign, of few and of tiny numbers, and with largest numbers at and next
// to powers of two times those of the formats. wild: also with NaNs and infinities.
std::vector<uint8_t> varied_weights(WeightType type, uint32_t rows, uint32_t columns, bool wild) {
  Random random(rows * 3 + columns);
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / columns, column = i % columns;
    float& value = values[i];
    if (row % 9 == 1) value = column % 3 == 0 ? -0.0f : 0.0f;
    if (row % 9 == 2) value = value < 0 ? -value : value;
    if (row % 9 == 3) value = value < 0 ? value : -value;
    if (row % 9 == 4) value = static_cast<float>(static_cast<int>(column % 65) - 32) * 0.25f;
    if (row % 9 == 5) value *= column / 16 % 2 == 0 ? 1e-7f : 1e-38f;
    if (row % 9 == 6) {
      const int exponent = static_cast<int>(random.bits() % 60) - 40;
      value = std::ldexp(column % 16 == 0 ? 1.0f + static_cast<float>(random.bits() % 32) * 0x1p-23f
                                          : 0.5f * value / 8,
                         exponent) *
              (column % 32 < 16 ? 6.0f : 448.0f);
    }
    if (wild && row % 9 == 7 && column == 3) value = std::numeric_limits<float>::quiet_NaN();
    if (wild && row % 9 == 8 && column == 4) value = -std::numeric_limits<float>::infinity();
  }
  return encode(type, values);
}

struct Stored {
  std::vector<uint8_t> codes, scales, zeros;
  float whole_scale = 0;
};
// Sizes of the parts; zeros hold words, whatever they are.
Stored sized(const Form& form, WeightType type) {
  const ScaledEncoding encoding = form.encoding();
  const uint64_t tile_rows = (form.rows + encoding.tiles.rows - 1) / encoding.tiles.rows;
  const uint64_t tiles = tile_rows * encoding.tiles.per_row;
  const bool pairs = form.type == NarrowType::int4_row_pairs;
  Stored out;
  out.codes.resize((pairs ? form.rows / 2 : form.rows) * encoding.rows.row_bytes());
  const bool own = form.rule == ScaleRule::own || form.rule == ScaleRule::own_reciprocal;
  out.scales.resize(tiles * (form.rule == ScaleRule::float32 || (own && form.float_scales) ? 4
                             : own ? bytes_of(type)
                                   : 1));
  if (form.zero_type == ZeroType::int8) out.zeros.resize(tiles);
  if (form.zero_type == ZeroType::packed)
    out.zeros.resize((tile_rows * static_cast<uint64_t>(form.bits) + 31) / 32 * 4 *
                     encoding.tiles.per_row);
  return out;
}

Stored encode_on_cpu(const Form& form, WeightType type, const std::vector<uint8_t>& weight) {
  const ScaledKernels& kernels = scaled_kernels(Isa::baseline);
  const ScaledEncoding encoding = form.encoding();
  Stored out = sized(form, type);
  const ValueRange whole =
      kernels.range(type, weight.data(), 0, uint64_t{form.rows} * form.columns);
  out.whole_scale = 1;
  if (form.rule == ScaleRule::two_levels) out.whole_scale = kernels.global_scale(type, whole);
  if (form.rule == ScaleRule::two_levels_product) {
    const float absmax = std::isnan(whole.low) ? whole.low : std::max(whole.high, -whole.low);
    out.whole_scale = absmax == 0 ? 1.0f : absmax / form.divisor;
  }
  std::vector<uint8_t> narrow_scale(4);
  const bool widened = form.float_scales && form.one_tile();
  kernels.quantize(type, weight.data(), encoding, form.one_tile() ? &whole : nullptr,
                   out.whole_scale, 0, form.rows, out.codes.data(),
                   widened ? narrow_scale.data() : out.scales.data(), out.zeros.data());
  if (widened) {
    narrow_scale.resize(bytes_of(type));
    out.scales = encode(WeightType::f32, decode(type, narrow_scale));
  }
  return out;
}

std::string check_quantize(const Form& form, WeightType type, bool wild) {
  const std::vector<uint8_t> weight = varied_weights(type, form.rows, form.columns, wild);
  const Stored expected = encode_on_cpu(form, type, weight);
  const Stored sizes = sized(form, type);
  const DeviceArray<uint8_t> device_weight(weight), codes(sizes.codes.size()),
      scales(sizes.scales.size()), zeros(sizes.zeros.size());
  const DeviceArray<float> whole_scale(1);
  const bool two_levels =
      form.rule == ScaleRule::two_levels || form.rule == ScaleRule::two_levels_product;
  if (const char* error = quantize_scaled(
          type, device_weight.data(), form.rows, form.encoding(),
          {form.one_tile(), form.divisor, two_levels ? whole_scale.data() : nullptr},
          {codes.data(), scales.data(), zeros.data(), form.float_scales}, nullptr))
    return error;
  std::string difference;
  if (two_levels)
    difference = compare_bits(WeightType::f32, encode(WeightType::f32, {expected.whole_scale}),
                              encode(WeightType::f32, whole_scale.values()));
  if (!difference.empty()) return "scale of the whole weight " + difference;
  const bool bytes = expected.scales.size() == sizes.scales.size() && form.rule != ScaleRule::own &&
                     form.rule != ScaleRule::own_reciprocal && form.rule != ScaleRule::float32;
  const bool wide = form.rule == ScaleRule::float32 || form.float_scales;
  difference = bytes
                   ? compare_equal("scales", expected.scales, scales.values())
                   : compare_bits(wide ? WeightType::f32 : type, expected.scales, scales.values());
  if (difference.empty()) difference = compare_equal("zero points", expected.zeros, zeros.values());
  return difference.empty() ? compare_equal("codes", expected.codes, codes.values())
                            : "scale " + difference;
}

std::vector<Form> forms() {
  constexpr ScaleRule kOwn = ScaleRule::own, kFloat = ScaleRule::float32;
  std::vector<Form> list;
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8}) {
    const std::string name = "int" + std::to_string(bits);
    list.push_back({name, 18, 160, NarrowType::packed_int, bits, kOwn, 1, 32});
    list.push_back({name + " with zero points", 37, 128, NarrowType::packed_int, bits, kOwn, 1, 64,
                    false, ZeroType::packed});
  }
  const Form more[] = {
      {"int4 of rows", 18, 200, NarrowType::packed_int, 4, kOwn, 1, 0},
      {"int4 of odd columns", 9, 77, NarrowType::packed_int, 4, kOwn, 1, 11},
      {"int8 rows", 9, 1100, NarrowType::int8, 8, kOwn, 1, 0},
      {"int8 with zero points", 9, 96, NarrowType::int8, 8, kOwn, 1, 48, false, ZeroType::int8},
      {"int8 tensor", 19, 200, NarrowType::int8, 8, kOwn, 0, 0},
      {"int8 by the reciprocal", 19, 200, NarrowType::int8, 8, ScaleRule::own_reciprocal, 1, 0},
      {"int8 tensor by the reciprocal", 9, 200, NarrowType::int8, 8, ScaleRule::own_reciprocal, 0,
       0, true, ZeroType::none, 0, true},
      {"int8 over the largest", 9, 200, NarrowType::int8, 8, kFloat, 1, 0},
      {"int4 pairs", 18, 256, NarrowType::int4_row_pairs, 4, kFloat, 1, 128},
      {"float8 tensor", 18, 200, NarrowType::float8_e4m3fn, 8, kOwn, 0, 0},
      {"float8 rows", 18, 600, NarrowType::float8_e4m3fn, 8, kOwn, 1, 0},
      {"float8 blocks", 40, 200, NarrowType::float8_e4m3fn, 8, kOwn, 16, 64},
      {"float8 odd blocks", 40, 203, NarrowType::float8_e4m3fn, 8, kOwn, 7, 48},
      {"float8 by the reciprocal", 18, 200, NarrowType::float8_e4m3fn, 8, ScaleRule::own_reciprocal,
       1, 0},
      {"float8 float scale", 18, 200, NarrowType::float8_e4m3fn, 8, kFloat, 0, 0},
      {"float8 float blocks", 140, 260, NarrowType::float8_e4m3fn, 8, kFloat, 128, 128},
      {"mxfp8", 18, 128, NarrowType::float8_e4m3fn, 8, ScaleRule::exponent, 1, 32},
      {"mxfp8 ceiling", 27, 128, NarrowType::float8_e4m3fn, 8, ScaleRule::exponent_ceiling, 1, 32},
      {"mxfp6", 18, 128, NarrowType::float6_e2m3, 6, ScaleRule::exponent, 1, 32},
      {"mxfp4", 18, 160, NarrowType::float4_e2m1, 4, ScaleRule::exponent, 1, 32},
      {"mxfp4 above", 18, 160, NarrowType::float4_e2m1, 4, ScaleRule::exponent_above, 1, 32},
      {"mxfp4 positive zero", 18, 160, NarrowType::float4_e2m1, 4,
       ScaleRule::exponent_positive_zero, 1, 32},
      {"mxfp4 ceiling", 27, 160, NarrowType::float4_e2m1, 4, ScaleRule::exponent_ceiling, 1, 32},
      {"nvfp4", 18, 160, NarrowType::float4_e2m1, 4, ScaleRule::two_levels, 1, 16},
      {"nvfp4 product", 18, 160, NarrowType::float4_e2m1, 4, ScaleRule::two_levels_product, 1, 16,
       true, ZeroType::none, 6 * 448},
  };
  list.insert(list.end(), std::begin(more), std::end(more));
  return list;
}

}  // namespace

std::vector<Check> quantize_scaled_checks(CheckSize size) {
  std::vector<Form> list = forms();
  if (size == CheckSize::large) {
    list.push_back({"int4 large", 1000, 4096, NarrowType::packed_int, 4, ScaleRule::own, 1, 128});
    list.push_back(
        {"nvfp4 large", 1000, 4096, NarrowType::float4_e2m1, 4, ScaleRule::two_levels, 1, 16});
    list.push_back(
        {"float8 tensor large", 1000, 4096, NarrowType::float8_e4m3fn, 8, ScaleRule::own, 0, 0});
  }
  std::vector<Check> checks;
  for (const Form& form : list)
    for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      for (const bool wild : {false, true})
        checks.push_back({"scaled " + form.name + " quantize " + kernels::name_of(type) +
                              (wild ? " with NaNs" : ""),
                          [=] { return check_quantize(form, type, wild); }});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
