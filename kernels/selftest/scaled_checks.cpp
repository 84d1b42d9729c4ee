// Narrow integers and floats with scales for tiles: random codes under every kind of scale and zero
// point. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

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
  ScaleType scale_type;
  uint32_t tile_rows, tile_columns;
  ZeroType zero_type = ZeroType::none;
  bool padded = false, reordered = false;
  WeightType rounding = WeightType::f32;
  float divisor = 1, factor = 1;
};

std::vector<uint8_t> random_bytes(Random& random, uint64_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits() >> 11);
  return bytes;
}

// tame: finite numbers of a like size, for sums.
std::vector<uint8_t> random_codes(Random& random, NarrowType type, uint64_t count, bool tame) {
  std::vector<uint8_t> codes = random_bytes(random, count);
  for (uint8_t& code : codes)
    if (tame && type == NarrowType::float8_e4m3fn && (code & 0x7f) == 0x7f) code ^= 1;
  return codes;
}
std::vector<uint8_t> random_scales(Random& random, ScaleType type, uint64_t count, bool tame) {
  if (type == ScaleType::e8m0 || type == ScaleType::e4m3fn) {
    std::vector<uint8_t> scales = random_bytes(random, count);
    for (uint8_t& scale : scales)
      if (tame)
        scale = static_cast<uint8_t>(type == ScaleType::e8m0 ? 118 + scale % 8 : 32 + scale % 64);
    return scales;
  }
  std::vector<float> values(count);
  for (float& value : values) value = random.uniform(0.01f, 0.05f);
  return encode(type == ScaleType::f32   ? WeightType::f32
                : type == ScaleType::f16 ? WeightType::f16
                                         : WeightType::bf16,
                values);
}

struct Stored {
  Form form;
  uint64_t tiles_per_row, tile_rows;
  std::vector<uint8_t> codes, scales, zeros;
  std::vector<int32_t> tile_of;

  Stored(const Form& of, bool tame) : form(of) {
    Random random(form.rows * 3 + form.columns + static_cast<uint64_t>(form.bits));
    tiles_per_row = (form.columns + form.tile_columns - 1) / form.tile_columns;
    tile_rows = (form.rows + form.tile_rows - 1) / form.tile_rows;
    const uint64_t stored_rows =
        form.type == NarrowType::int4_row_pairs ? form.rows / 2 : form.rows;
    codes = random_codes(random, form.type, stored_rows * rows().row_bytes(), tame);
    scales = random_scales(random, form.scale_type, tile_rows * tiles_per_row, tame);
    zeros = random_bytes(random, (tile_rows + 32) * tiles_per_row * 4);
    for (uint64_t i = 0; form.reordered && i < form.columns; ++i)
      tile_of.push_back(static_cast<int32_t>(i * 7 % tiles_per_row));
  }
  NarrowRows rows() const { return {form.type, form.bits, form.padded, form.columns}; }
  ScaledTensor tensor(const void* of_codes, const void* of_scales, const void* of_zeros,
                      const int32_t* of_tiles) const {
    ScaledWeight weight{};
    weight.rows = rows();
    weight.codes = of_codes;
    weight.scale_type = form.scale_type;
    weight.scales = of_scales;
    weight.tiles = {form.tile_rows, form.tile_columns, tiles_per_row};
    weight.divisor = form.divisor;
    weight.factor = form.factor;
    weight.zero_type = form.zero_type;
    weight.zeros = of_zeros;
    weight.tile_of = form.reordered ? of_tiles : nullptr;
    weight.rounding = form.rounding;
    return {form.rows, weight};
  }
  std::vector<uint8_t> values(WeightType type) const {
    std::vector<uint8_t> out(uint64_t{form.rows} * form.columns * bytes_of(type));
    scaled_kernels(Isa::baseline)
        .dequantize(tensor(codes.data(), scales.data(), zeros.data(), tile_of.data()).weight, 0,
                    form.rows, type, out.data());
    return out;
  }
};

struct OnDevice {
  DeviceArray<uint8_t> codes, scales, zeros;
  DeviceArray<int32_t> tile_of;
  ScaledTensor tensor;
  explicit OnDevice(const Stored& stored)
      : codes(stored.codes),
        scales(stored.scales),
        zeros(stored.zeros),
        tile_of(stored.tile_of),
        tensor(stored.tensor(codes.data(), scales.data(), zeros.data(), tile_of.data())) {}
};

std::string check_dequantize(const Form& form, WeightType out_type) {
  const Stored stored(form, false);
  const OnDevice device(stored);
  const DeviceArray<uint8_t> out(uint64_t{form.rows} * form.columns * bytes_of(out_type));
  if (const char* error = dequantize_scaled(device.tensor, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, stored.values(out_type), out.values());
}

std::string check_linear(const Form& form, WeightType activation, uint32_t m) {
  const Stored stored(form, true);
  const OnDevice device(stored);
  Random random(m + form.columns);
  LinearCase linear{m, form.rows, form.columns, activation, {}, {}, {}};
  linear.weight = decode(WeightType::f32, stored.values(WeightType::f32));
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x =
      encode(activation, normal_values(random, uint64_t{m} * form.columns));
  linear.x = decode(activation, x);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, form.rows));
  linear.bias = decode(activation, bias);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * form.rows * 2);
  if (const char* error = linear_scaled(device.tensor, activation, device_x.data(),
                                        device_bias.data(), y.data(), m, nullptr))
    return error;
  const double relative_error =
      m <= 8 ? (form.columns / 32.0 + 16) * 0x1p-24 : form.columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

std::vector<Form> forms_to_decode() {
  std::vector<Form> list;
  const auto add = [&](Form form) { list.push_back(std::move(form)); };
  for (const bool padded : {false, true})
    for (int bits = 1; bits <= 8; ++bits)
      for (const ZeroType zero : {ZeroType::none, ZeroType::packed})
        add({"int" + std::to_string(bits) + (padded ? " padded" : "") +
                 (zero == ZeroType::none ? "" : " with zero points"),
             37, 160, NarrowType::packed_int, bits, ScaleType::bf16, 1, 32, zero, padded, false,
             WeightType::bf16});
  add({"int8 rows", 21, 200, NarrowType::int8, 8, ScaleType::f32, 1, 200});
  add({"int8 with zero points", 21, 96, NarrowType::int8, 8, ScaleType::f16, 1, 48, ZeroType::int8,
       false, false, WeightType::f16});
  add({"int8 of odd columns", 5, 77, NarrowType::int8, 8, ScaleType::f32, 2, 11});
  add({"int4 reordered", 9, 160, NarrowType::packed_int, 4, ScaleType::f16, 1, 32, ZeroType::packed,
       false, true, WeightType::f16});
  add({"int4 pairs", 34, 160, NarrowType::int4_row_pairs, 4, ScaleType::f32, 1, 32});
  add({"float8 tiles", 40, 200, NarrowType::float8_e4m3fn, 8, ScaleType::f32, 7, 48});
  add({"float8 e8m0", 9, 128, NarrowType::float8_e4m3fn, 8, ScaleType::e8m0, 1, 32});
  add({"float6", 9, 128, NarrowType::float6_e2m3, 6, ScaleType::e8m0, 1, 32});
  add({"mxfp4", 33, 160, NarrowType::float4_e2m1, 4, ScaleType::e8m0, 1, 32, ZeroType::none, false,
       false, WeightType::bf16});
  add({"nvfp4", 33, 160, NarrowType::float4_e2m1, 4, ScaleType::e4m3fn, 1, 16, ZeroType::none,
       false, false, WeightType::f32, 3.7f});
  add({"nvfp4 product", 33, 160, NarrowType::float4_e2m1, 4, ScaleType::e4m3fn, 1, 16,
       ZeroType::none, false, false, WeightType::f32, 1, 0.37f});
  return list;
}

// Without roundings, so that the bounds are those of the sums.
std::vector<Form> forms_to_multiply() {
  return {{"int4", 136, 320, NarrowType::packed_int, 4, ScaleType::f16, 1, 64, ZeroType::packed},
          {"int3", 33, 1120, NarrowType::packed_int, 3, ScaleType::bf16, 1, 160},
          {"int8", 37, 1248, NarrowType::int8, 8, ScaleType::f32, 1, 1248},
          {"float8", 40, 208, NarrowType::float8_e4m3fn, 8, ScaleType::f32, 16, 48},
          {"mxfp6", 36, 160, NarrowType::float6_e2m3, 6, ScaleType::e8m0, 1, 32},
          {"nvfp4", 130, 256, NarrowType::float4_e2m1, 4, ScaleType::e4m3fn, 1, 16, ZeroType::none,
           false, false, WeightType::f32, 1, 0.37f}};
}

}  // namespace

std::vector<Check> scaled_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const Form& form : forms_to_decode())
    for (const WeightType out_type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({"scaled " + form.name + " dequantize to " + kernels::name_of(out_type),
                        [=] { return check_dequantize(form, out_type); }});
  std::vector<Form> products = forms_to_multiply();
  if (size == CheckSize::large)
    products.push_back(
        {"int4 large", 4096, 4096, NarrowType::packed_int, 4, ScaleType::f16, 1, 128});
  for (const Form& form : products)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"scaled " + form.name + " linear " + kernels::name_of(activation) + " " +
                              std::to_string(m) + " rows",
                          [=] { return check_linear(form, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
