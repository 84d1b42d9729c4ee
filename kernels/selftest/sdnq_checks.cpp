// SDNQ's weights: numbers packed here bit by bit, and what kernels/device/sdnq.h says they become.
// Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <cmath>

#include "kernels/cpu/common/float8.h"
#include "kernels/device/sdnq.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Form {
  std::string name;
  SdnqNumber number;
  uint32_t rows, columns, groups;
  bool zeros = false, codebook = false, whole = false, wide_bytes = false;
  uint32_t rank = 0, rotated = 0;
  RotationKind rotation = RotationKind::twos;
};

// Where a bit of number `index` of eight, packed in `bits` bytes, stands.
struct Place {
  uint32_t byte, bit;
};
Place place_of(uint32_t bits, uint32_t index, uint32_t bit) {
  if (8 % bits == 0) return {index * bits / 8, index * bits % 8 + bit};
  if (bits == 6) {
    const uint32_t first = index / 4 * 3, inside = index % 4;
    return inside < 3 ? Place{first + inside, bit} : Place{first + 2 - bit / 2, 6 + bit % 2};
  }
  if (index < bits) return {index, bit};
  const uint32_t late = index - bits;
  if (bits == 7) return {6 - bit, 7};
  if (bits == 5) {
    if (bit < 3) return {late, bit + 5};
    if (late < 2) return {late + 3, bit + 2};
    return {bit == 4 ? 3u : 4u, 7};
  }
  if (late < 3) return {late, bit + 3};
  return bit < 2 ? Place{late - 3, bit + 6} : Place{2, late == 3 ? 6u : 7u};
}

double number_of(const SdnqNumber& number, uint32_t code) {
  if (number.kind == SdnqKind::unsigned_integer) return code;
  if (number.kind == SdnqKind::lowered_integer)
    return static_cast<double>(code) - std::ldexp(1.0, static_cast<int>(number.bits) - 1);
  const auto byte = static_cast<uint8_t>(code);
  if (number.kind == SdnqKind::int8) return static_cast<int8_t>(byte);
  if (number.kind == SdnqKind::e4m3fn) return float8_e4m3fn_to_float(byte);
  if (number.kind == SdnqKind::e5m2) return float8_e5m2_to_float(byte);
  const int mantissa = static_cast<int>(number.mantissa);
  const int power = static_cast<int>(code >> mantissa & ((1u << number.exponent) - 1));
  const int bias = (1 << (number.exponent - 1)) - 1;
  const double fraction = std::ldexp(code & ((1u << mantissa) - 1), -mantissa);
  const double value =
      power == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, power - bias);
  return number.sign && code >> (number.bits - 1) != 0 ? -value : value;
}

struct Stored {
  Form form;
  uint32_t levels;
  std::vector<uint32_t> codes;
  std::vector<uint8_t> packed;
  std::vector<float> scales, zeros, up, down;

  Stored(const Form& of, bool tame) : form(of), levels(of.codebook ? 1u << of.number.bits : 1) {
    Random random(form.rows * 5 + form.columns + form.number.bits);
    const uint32_t bits = form.number.bits, step = form.wide_bytes ? 8 : 1;
    const uint64_t count = uint64_t{form.rows} * form.columns;
    packed.resize(count * bits / 8 * step);
    for (uint64_t i = 0; i < count; ++i) {
      uint32_t code = random.bits() >> 9 & ((1u << bits) - 1);
      if (tame && form.number.kind == SdnqKind::e4m3fn && (code & 127) == 127) code ^= 1;
      if (tame && form.number.kind == SdnqKind::e5m2) code &= ~0x20u;
      codes.push_back(code);
      for (uint32_t bit = 0; bit < bits; ++bit) {
        const Place place = place_of(bits, static_cast<uint32_t>(i % 8), bit);
        uint8_t& byte = packed[(i / 8 * bits + place.byte) * step];
        byte = static_cast<uint8_t>(byte | (code >> bit & 1) << place.bit);
      }
    }
    const uint64_t groups = uint64_t{form.whole ? 1 : form.rows} * form.groups;
    const auto fill = [&](std::vector<float>& values, uint64_t size, float low, float high) {
      values.resize(size);
      for (float& value : values) value = random.uniform(low, high);
    };
    fill(scales, groups * levels, 0.01f, 0.05f);
    if (form.zeros) fill(zeros, groups, -0.4f, 0.0f);
    fill(up, uint64_t{form.rows} * form.rank, -0.1f, 0.1f);
    fill(down, uint64_t{form.rank} * form.columns, -0.1f, 0.1f);
    // Products round these to the dtype of the activations.
    for (float& value : up)
      if (tame) value = rounded(WeightType::bf16, 5 * value);
    for (float& value : down)
      if (tame) value = std::nearbyint(80 * value) / 8;
  }

  Rotation rotation() const {
    return {form.rotation,
            form.rotated,
            form.rotated == 0 ? 0 : 1 / std::sqrt(static_cast<double>(form.rotated)),
            {},
            false};
  }
  uint64_t base() const { return form.rotation == RotationKind::twos ? 2 : 4; }
  // Rows before a low-rank part is added and a rotation undone.
  std::vector<float> numbers(WeightType out, bool adds_low_rank = true) const {
    std::vector<float> values;
    for (uint32_t row = 0; row < form.rows; ++row) {
      for (uint32_t column = 0; column < form.columns; ++column) {
        const uint32_t code = codes[values.size()];
        const uint64_t group =
            uint64_t{form.whole ? 0 : row} * form.groups + column / (form.columns / form.groups);
        const auto number = static_cast<float>(number_of(form.number, code));
        float value = form.codebook ? scales[group * levels + code]
                      : form.zeros  ? std::fma(number, scales[group], zeros[group])
                                    : number * scales[group];
        if (form.rank != 0 && adds_low_rank) {
          double sum = 0;
          for (uint32_t r = 0; r < form.rank; ++r)
            sum += double{up[uint64_t{row} * form.rank + r]} *
                   double{down[uint64_t{r} * form.columns + column]};
          value = rounded(out, rounded(out, value) + static_cast<float>(sum));
        }
        values.push_back(value);
      }
    }
    return values;
  }
  std::vector<float> values(WeightType out) const;
};

std::vector<float> Stored::values(WeightType out) const {
  return rotated(numbers(out), form.rotated, base(), out);
}

struct OnDevice {
  DeviceArray<uint8_t> packed;
  DeviceArray<float> scales, zeros, up, down;
  SdnqTensor tensor;
  explicit OnDevice(const Stored& w)
      : packed(w.packed), scales(w.scales), zeros(w.zeros), up(w.up), down(w.down), tensor{} {
    tensor = {w.form.rows,
              w.form.columns,
              w.form.number,
              packed.data(),
              w.form.wide_bytes ? 8u : 1u,
              w.form.groups,
              w.form.whole,
              w.levels,
              {WeightType::f32, scales.data()},
              {WeightType::f32, w.form.zeros ? zeros.data() : nullptr},
              w.form.rank,
              {WeightType::f32, up.data()},
              {WeightType::f32, down.data()},
              w.rotation()};
  }
};

std::string check_dequantize(const Form& form, WeightType out_type) {
  const Stored stored(form, false);
  const OnDevice device(stored);
  const DeviceArray<uint8_t> out(stored.codes.size() * bytes_of(out_type));
  if (const char* error = dequantize_sdnq(device.tensor, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, stored.values(out_type)), out.values());
}

// A low-rank part as further columns: `up`, which meets x down, rounded to the dtype of x. The sums
// of x down are exact in float32 in every order.
void extend(LinearCase& linear, const Stored& stored) {
  const uint32_t columns = linear.columns, rank = stored.form.rank;
  std::vector<float> weight, x;
  for (uint32_t row = 0; row < linear.rows; ++row) {
    const auto from = linear.weight.begin() + row * columns;
    weight.insert(weight.end(), from, from + columns);
    const auto up = stored.up.begin() + row * rank;
    weight.insert(weight.end(), up, up + rank);
  }
  for (uint32_t i = 0; i < linear.m; ++i) {
    const auto from = linear.x.begin() + i * columns;
    x.insert(x.end(), from, from + columns);
    for (uint32_t r = 0; r < rank; ++r) {
      double sum = 0;
      for (uint32_t k = 0; k < columns; ++k)
        sum += double{from[k]} * double{stored.down[uint64_t{r} * columns + k]};
      x.push_back(rounded(linear.activation, static_cast<float>(sum)));
    }
  }
  linear.columns += rank;
  linear.weight = weight;
  linear.x = x;
}

std::string check_linear(const Form& form, WeightType activation, uint32_t m) {
  const Stored stored(form, true);
  const OnDevice device(stored);
  Random random(m + form.columns);
  LinearCase linear{m,  form.rows, form.columns, activation, stored.numbers(WeightType::f32, false),
                    {}, {}};
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  std::vector<float> wide = normal_values(random, uint64_t{m} * form.columns);
  for (float& value : wide)
    if (form.rank != 0) value = std::nearbyint(64 * value) / 64;
  const std::vector<uint8_t> x = encode(activation, wide);
  linear.x = rotated(decode(activation, x), form.rotated, stored.base(), activation);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, form.rows));
  linear.bias = decode(activation, bias);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * form.rows * 2),
      workspace(sdnq_workspace(m, device.tensor)),
      up(uint64_t{padded_rank(form.rank)} * form.rows * 2),
      down(uint64_t{padded_rank(form.rank)} * form.columns * 2);
  const SdnqLowRank part{down.data(), up.data()};
  if (form.rank != 0) {
    extend(linear, stored);
    if (const char* error = lay_out_low_rank(device.tensor, activation, part, nullptr))
      return error;
  }
  if (const char* error = linear_sdnq(device.tensor, part, activation, device_x.data(),
                                      device_bias.data(), y.data(), m, workspace.data(), nullptr))
    return error;
  // scale * sum(q x) and zero * sum(x) exceed their sum.
  const double bound = m <= 8 ? (form.zeros ? 32 : 1) * (form.columns / 32.0 + 16) * 0x1p-24
                              : linear.columns * 0x1p-23;
  return compare_linear(linear, bound, y.values());
}

SdnqNumber integer(uint32_t bits, bool is_unsigned) {
  return {is_unsigned ? SdnqKind::unsigned_integer
          : bits == 8 ? SdnqKind::int8
                      : SdnqKind::lowered_integer,
          bits, 0, 0, !is_unsigned};
}
SdnqNumber small_float(uint32_t exponent, uint32_t mantissa, bool sign) {
  return {SdnqKind::small_float, exponent + mantissa + (sign ? 1 : 0), exponent, mantissa, sign};
}

std::vector<Form> forms_to_decode() {
  std::vector<Form> list;
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    const std::string name = std::to_string(bits);
    if (bits > 1) list.push_back({"int" + name, integer(bits, false), 5, 192, 3});
    list.push_back({"uint" + name, integer(bits, true), 6, 100, 10, true});
    list.push_back({"codebook " + name, integer(bits, true), 3, 2048, 1, false, true});
  }
  list.push_back({"bytes of int64", integer(1, true), 6, 96, 2, true, false, false, true});
  list.push_back({"one scale", integer(4, false), 6, 96, 1, false, false, true});
  for (uint32_t exponent = 1; exponent <= 5; ++exponent)
    for (const bool sign : {false, true})
      list.push_back(
          {"e" + std::to_string(exponent), small_float(exponent, sign ? 2 : 1, sign), 5, 128, 2});
  list.push_back({"e4m3fn", {SdnqKind::e4m3fn, 8, 4, 3, true}, 5, 64, 1});
  list.push_back({"e5m2", {SdnqKind::e5m2, 8, 5, 2, true}, 5, 64, 1});
  list.push_back({"low rank", integer(4, true), 5, 96, 3, true, false, false, false, 7});
  for (const uint32_t size : {8u, 128u, 2048u})
    list.push_back({"rotated " + std::to_string(size), integer(5, false), 3, 2048, 64, false, false,
                    false, false, 0, size});
  for (const uint32_t size : {4u, 256u, 4096u})
    list.push_back({"rotated " + std::to_string(size), integer(5, false), 3, 4096, 64, false, false,
                    false, false, 0, size, RotationKind::fours});
  list.push_back({"low rank, rotated", integer(8, false), 3, 192, 3, false, false, false, false, 4,
                  64, RotationKind::fours});
  return list;
}

}  // namespace

std::vector<Check> sdnq_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const Form& form : forms_to_decode())
    for (const WeightType out : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({"sdnq " + form.name + " dequantize to " + kernels::name_of(out),
                        [=] { return check_dequantize(form, out); }});
  const uint32_t rows = size == CheckSize::large ? 4096 : 130,
                 columns = size == CheckSize::large ? 4096 : 256;
  const Form products[] = {
      {"uint4", integer(4, true), rows, columns, columns / 64, true},
      {"int6", integer(6, false), rows, columns, columns / 32},
      {"e3m2", small_float(3, 2, true), 9, 352, 11},
      {"codebook", integer(4, true), 33, columns, columns / 128, false, true},
      {"rotated", integer(8, false), rows, columns, 1, false, false, false, false, 0, 128},
      {"rotated by fours", integer(5, true), 9, 320, 5, true, false, false, false, 0, 64,
       RotationKind::fours},
      {"low rank", integer(4, true), rows, columns, columns / 64, true, false, false, false, 12},
      {"low rank codebook", integer(4, true), 33, columns, columns / 128, false, true, false, false,
       32},
      {"low rank, rotated", integer(8, false), 9, 192, 3, false, false, false, false, 4, 64,
       RotationKind::fours}};
  for (const Form& form : products)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"sdnq " + form.name + " linear " + kernels::name_of(activation) + " " +
                              std::to_string(m) + " rows",
                          [=] { return check_linear(form, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
