// Nunchaku Lite's weights: numbers in rows, put into the orders of its kernels here, one digit of
// the place after the other, and computed with in double. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <cmath>

#include "kernels/cpu/common/float8.h"
#include "kernels/device/nunchaku.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// A digit of a place: its value and how many it has, the most significant first.
struct Digit {
  uint64_t value, count;
};
uint64_t place_of(std::initializer_list<Digit> digits) {
  uint64_t place = 0;
  for (const Digit& digit : digits) place = place * digit.count + digit.value;
  return place;
}

// Numbers that `type` holds.
std::vector<float> random_floats(Random& random, WeightType type, uint64_t count, float low,
                                 float high) {
  std::vector<float> values(count);
  for (float& value : values) value = random.uniform(low, high);
  return decode(type, encode(type, values));
}
// Element place(i) of the result is values[i].
template <class Place>
std::vector<float> ordered(const std::vector<float>& values, Place place) {
  std::vector<float> out(values.size());
  for (uint64_t i = 0; i < values.size(); ++i) out[place(i)] = values[i];
  return out;
}
void put_nibble(std::vector<uint8_t>& bytes, uint64_t place, uint32_t code) {
  bytes[place / 2] = static_cast<uint8_t>(bytes[place / 2] | code << place % 2 * 4);
}
std::vector<uint8_t> encode_doubles(WeightType type, const std::vector<double>& values) {
  return encode(type, std::vector<float>(values.begin(), values.end()));
}

struct Awq {
  uint32_t rows, columns, group;
  WeightType type;
  std::vector<uint8_t> codes, scales, zeros;
  std::vector<double> values;

  Awq(uint32_t of_rows, uint32_t of_columns, uint32_t of_group, WeightType of)
      : rows(of_rows), columns(of_columns), group(of_group), type(of) {
    Random random(rows + columns + group);
    const uint64_t groups = columns / group;
    const std::vector<float> scale = random_floats(random, type, groups * rows, 0.01f, 0.05f),
                             zero = random_floats(random, type, groups * rows, -0.4f, 0.0f);
    codes.resize(uint64_t{rows} * columns / 2);
    for (uint32_t n = 0; n < rows; ++n) {
      for (uint32_t k = 0; k < columns; ++k) {
        const uint32_t code = random.bits() >> 9 & 15;
        put_nibble(codes,
                   place_of({{n / 4, 0},
                             {k / 64, columns / 64},
                             {n % 4, 4},
                             {k % 64 / 32, 2},
                             {k % 8, 8},
                             {k % 32 / 8, 4}}),
                   code);
        const uint64_t at = uint64_t{k / group} * rows + n;
        values.push_back(double{scale[at]} * code + double{zero[at]});
      }
    }
    scales = encode(type, scale);
    zeros = encode(type, zero);
  }
};

struct AwqOnDevice {
  DeviceArray<uint8_t> codes, scales, zeros;
  NunchakuAwqTensor tensor;
  explicit AwqOnDevice(const Awq& w)
      : codes(w.codes),
        scales(w.scales),
        zeros(w.zeros),
        tensor{w.rows,
               w.columns,
               w.group,
               reinterpret_cast<const uint16_t*>(codes.data()),
               {w.type, scales.data()},
               {w.type, zeros.data()}} {}
};

std::string check_awq(const Awq& weight, WeightType out_type) {
  const AwqOnDevice device(weight);
  const DeviceArray<uint8_t> out(weight.values.size() * bytes_of(out_type));
  if (const char* error = dequantize_nunchaku_awq(device.tensor, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode_doubles(out_type, weight.values), out.values());
}

// A product's inputs; `weight` is rounded as many rows of x find it.
struct Inputs {
  std::vector<uint8_t> x, bias;
  LinearCase linear;
  Inputs(uint32_t m, uint32_t rows, uint32_t columns, WeightType activation,
         std::vector<float> weight) {
    Random random(m + columns);
    x = encode(activation, normal_values(random, uint64_t{m} * columns));
    bias = encode(activation, normal_values(random, rows));
    if (m > 8) weight = decode(activation, encode(activation, weight));
    linear = {m,
              rows,
              columns,
              activation,
              std::move(weight),
              decode(activation, x),
              decode(activation, bias)};
  }
};
double bound_of(uint32_t m, uint32_t columns) {
  return m <= 8 ? (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23;
}

std::string check_awq_linear(const Awq& weight, WeightType activation, uint32_t m) {
  const AwqOnDevice device(weight);
  const Inputs inputs(m, weight.rows, weight.columns, activation,
                      {weight.values.begin(), weight.values.end()});
  const DeviceArray<uint8_t> x(inputs.x), bias(inputs.bias), y(uint64_t{m} * weight.rows * 2);
  if (const char* error = linear_nunchaku_awq(device.tensor, activation, x.data(), bias.data(),
                                              y.data(), m, nullptr))
    return error;
  // scale * sum(q x) and zero * sum(x) exceed their sum.
  return compare_linear(inputs.linear, (m <= 8 ? 32 : 1) * bound_of(m, weight.columns), y.values());
}

struct Svdq {
  uint32_t rows, columns, rank;
  bool nvfp4;
  WeightType type;
  std::vector<double> coded;            // the codes' part, before it is divided
  std::vector<float> smooth, down, up;  // [columns], [rank][columns], [rows][rank]
  std::vector<uint8_t> codes, scales, micro_scales, row_scales, scale;
  std::vector<uint8_t> stored_smooth, stored_down, stored_up;

  Svdq(uint32_t of_rows, uint32_t of_columns, uint32_t of_rank, bool float4, WeightType of)
      : rows(of_rows), columns(of_columns), rank(of_rank), nvfp4(float4), type(of) {
    Random random(rows + columns + rank);
    make_codes(random);
    smooth = random_floats(random, type, columns, 0.5f, 1.5f);
    down = random_floats(random, type, uint64_t{rank} * columns, -0.1f, 0.1f);
    up = random_floats(random, type, uint64_t{rows} * rank, -0.1f, 0.1f);
    stored_smooth = encode(type, ordered(smooth, vector_place));
    const auto low_rank = [this](uint64_t i, uint64_t r, bool of_columns_first) {
      const Digit pair{i % 16 / 8, 2}, rank_pair{r % 16 / 8, 2};
      if (of_columns_first)
        return place_of({{i / 16, 0},
                         {r / 16, rank / 16},
                         {r % 8, 8},
                         {i % 8 / 2, 4},
                         rank_pair,
                         pair,
                         {i % 2, 2}});
      return place_of({{i / 16, 0},
                       {r / 16, rank / 16},
                       {i % 8, 8},
                       {r % 8 / 2, 4},
                       pair,
                       rank_pair,
                       {r % 2, 2}});
    };
    stored_down = encode(
        type, ordered(down, [&](uint64_t i) { return low_rank(i % columns, i / columns, true); }));
    stored_up =
        encode(type, ordered(up, [&](uint64_t i) { return low_rank(i / rank, i % rank, false); }));
  }
  static uint64_t vector_place(uint64_t n) {
    return place_of({{n / 128, 0}, {n % 128 / 16, 8}, {n % 8 / 2, 4}, {n % 16 / 8, 2}, {n % 2, 2}});
  }
  void make_codes(Random& random) {
    constexpr double kFloat4[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    const uint32_t group = nvfp4 ? 16 : 64, groups = columns / group;
    const std::vector<float> of_groups =
        random_floats(random, type, uint64_t{rows} * groups, 0.01f, 0.05f);
    const std::vector<float> of_rows = random_floats(random, type, rows, 0.5f, 1.5f),
                             of_all = random_floats(random, type, 1, 0.03f, 0.04f);
    if (nvfp4) micro_scales.resize(uint64_t{rows} * groups);
    std::vector<float> of_micro(micro_scales.size());
    for (uint64_t i = 0; i < of_micro.size(); ++i) {
      const auto bits = static_cast<uint8_t>(32 + (random.bits() >> 9) % 64);
      const uint64_t n = i / groups, at = i % groups;
      micro_scales[place_of({{n / 128, 0},
                             {at / 4, groups / 4},
                             {n % 8, 8},
                             {n % 32 / 8, 4},
                             {n % 128 / 32, 4},
                             {at % 4, 4}})] = bits;
      of_micro[i] = float8_e4m3fn_to_float(bits);
    }
    codes.resize(uint64_t{rows} * columns / 2);
    for (uint32_t n = 0; n < rows; ++n) {
      for (uint32_t k = 0; k < columns; ++k) {
        const uint32_t code = random.bits() >> 9 & 15;
        put_nibble(codes,
                   place_of({{n / 128, 0},
                             {k / 64, columns / 64},
                             {n % 128 / 16, 8},
                             {n % 8, 8},
                             {k % 32 / 8, 4},
                             {n % 16 / 8, 2},
                             {k % 64 / 32, 2},
                             {k % 8, 8}}),
                   code);
        const uint64_t at = uint64_t{n} * groups + k / group;
        const double magnitude = kFloat4[code & 7];
        coded.push_back(nvfp4 ? (code < 8 ? magnitude : -magnitude) * double{of_micro[at]} *
                                    (double{of_rows[n]} * double{of_all[0]})
                              : (code < 8 ? double(code) : double(code) - 16) *
                                    double{of_groups[at]});
      }
    }
    row_scales = nvfp4 ? encode(type, ordered(of_rows, vector_place)) : std::vector<uint8_t>();
    scale = nvfp4 ? encode(type, of_all) : std::vector<uint8_t>();
    if (nvfp4) return;
    scales = encode(type, ordered(of_groups, [&](uint64_t i) {
                      const uint64_t n = i / groups;
                      return place_of({{n / 128, 0},
                                       {i % groups, groups},
                                       {n % 128 / 16, 8},
                                       {n % 8 / 2, 4},
                                       {n % 16 / 8, 2},
                                       {n % 2, 2}});
                    }));
  }
  std::vector<double> values() const {
    std::vector<double> out;
    for (uint32_t n = 0; n < rows; ++n) {
      for (uint32_t k = 0; k < columns; ++k) {
        double sum = coded[uint64_t{n} * columns + k] / double{smooth[k]};
        for (uint32_t r = 0; r < rank; ++r)
          sum += double{up[uint64_t{n} * rank + r]} * double{down[uint64_t{r} * columns + k]};
        out.push_back(sum);
      }
    }
    return out;
  }
};

struct SvdqOnDevice {
  DeviceArray<uint8_t> codes, scales, micro, row_scales, scale, smooth, down, up;
  SvdqTensor tensor;
  explicit SvdqOnDevice(const Svdq& w)
      : codes(w.codes),
        scales(w.scales),
        micro(w.micro_scales),
        row_scales(w.row_scales),
        scale(w.scale),
        smooth(w.stored_smooth),
        down(w.stored_down),
        up(w.stored_up),
        tensor{w.rows,
               w.columns,
               w.rank,
               w.nvfp4,
               reinterpret_cast<const uint32_t*>(codes.data()),
               {w.type, scales.data()},
               micro.data(),
               {w.type, row_scales.data()},
               {w.type, scale.data()},
               {w.type, smooth.data()},
               {w.type, down.data()},
               {w.type, up.data()}} {}
};

std::string check_svdq(const Svdq& weight, WeightType out_type) {
  const SvdqOnDevice device(weight);
  const DeviceArray<uint8_t> out(uint64_t{weight.rows} * weight.columns * bytes_of(out_type));
  if (const char* error = dequantize_svdq(device.tensor, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode_doubles(out_type, weight.values()), out.values());
}

// What stands in the workspace after a product: x / smooth, bit for bit, and x down.
std::string compare_extended(const Svdq& weight, const Inputs& inputs,
                             const std::vector<uint8_t>& extended) {
  const LinearCase& in = inputs.linear;
  const std::vector<float> got = decode(in.activation, extended);
  const uint64_t width = weight.columns + weight.rank;
  std::vector<float> divided, found, low;
  for (uint64_t row = 0; row < in.m; ++row) {
    for (uint64_t k = 0; k < width; ++k)
      (k < weight.columns ? found : low).push_back(got[row * width + k]);
    for (uint64_t k = 0; k < weight.columns; ++k)
      divided.push_back(in.x[row * weight.columns + k] / weight.smooth[k]);
  }
  const std::vector<uint8_t> wanted = encode(in.activation, divided);
  if (std::string fault = compare_bits(in.activation, wanted, encode(in.activation, found));
      !fault.empty())
    return "x / smooth: " + fault;
  const LinearCase down{in.m,
                        weight.rank,
                        weight.columns,
                        in.activation,
                        decode(in.activation, encode(in.activation, weight.down)),
                        in.x,
                        {}};
  const std::string fault =
      compare_linear(down, bound_of(in.m, weight.columns), encode(in.activation, low));
  return fault.empty() ? "" : "x down: " + fault;
}

std::string check_svdq_linear(const Svdq& weight, WeightType activation, uint32_t m) {
  const SvdqOnDevice device(weight);
  const uint32_t columns = weight.columns, rank = weight.rank;
  const DeviceArray<uint8_t> down(uint64_t{rank} * columns * 2),
      up(uint64_t{weight.rows} * rank * 2);
  const DeviceArray<float> smooth(columns), row_scales(weight.rows);
  const SvdqRows rows{down.data(), up.data(), smooth.data(), row_scales.data()};
  if (const char* error = lay_out_svdq(device.tensor, activation, rows, nullptr)) return error;
  const Inputs inputs(m, weight.rows, columns, activation, {});
  const DeviceArray<uint8_t> x(inputs.x), bias(inputs.bias), y(uint64_t{m} * weight.rows * 2),
      workspace(svdq_workspace(m, columns, rank));
  if (const char* error = linear_svdq(device.tensor, rows, activation, x.data(), bias.data(),
                                      y.data(), m, workspace.data(), nullptr))
    return error;
  std::vector<uint8_t> extended = workspace.values();
  extended.resize(uint64_t{m} * (columns + rank) * 2);
  if (std::string fault = compare_extended(weight, inputs, extended); !fault.empty()) return fault;
  // The codes' part and `up` side by side, and what they meet.
  LinearCase both = inputs.linear;
  both.columns = columns + rank;
  both.x = decode(activation, extended);
  const std::vector<float> stored_up = decode(activation, encode(activation, weight.up));
  for (uint32_t n = 0; n < weight.rows; ++n) {
    for (uint32_t k = 0; k < columns; ++k)
      both.weight.push_back(static_cast<float>(weight.coded[uint64_t{n} * columns + k]));
    for (uint32_t r = 0; r < rank; ++r) both.weight.push_back(stored_up[uint64_t{n} * rank + r]);
  }
  if (m > 8) both.weight = decode(activation, encode(activation, both.weight));
  // Scales of NVFP4 are products that are rounded to float32, twice.
  return compare_linear(both, bound_of(m, columns + rank) + (weight.nvfp4 ? 0x1p-22 : 0),
                        y.values());
}

}  // namespace

std::vector<Check> nunchaku_checks(CheckSize size) {
  std::vector<Check> checks;
  constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};
  for (const WeightType type : kTypes) {
    for (const WeightType out : kTypes) {
      const std::string name =
          std::string(kernels::name_of(type)) + " dequantize to " + kernels::name_of(out);
      checks.push_back({"nunchaku awq " + name, [=] {
                          return check_awq({12, 128, 64, type}, out);
                        }});
      checks.push_back({"nunchaku int4 " + name, [=] {
                          return check_svdq({128, 128, 32, false, type}, out);
                        }});
      checks.push_back({"nunchaku nvfp4 " + name, [=] {
                          return check_svdq({128, 256, 16, true, type}, out);
                        }});
    }
  }
  const uint32_t rows = size == CheckSize::large ? 3072 : 128,
                 columns = size == CheckSize::large ? 3072 : 384;
  // Stored in float32, so that the bounds are those of the sums.
  constexpr WeightType kStored = WeightType::f32;
  for (const WeightType activation : {WeightType::f16, WeightType::bf16}) {
    for (const uint32_t m : {1u, 4u, 7u, 17u, 150u}) {
      const std::string name = std::string(" linear ") + kernels::name_of(activation) + " " +
                               std::to_string(m) + " rows";
      checks.push_back({"nunchaku awq" + name,
                        [=] {
                          return check_awq_linear({rows + 4, columns, 64, kStored}, activation, m);
                        },
                        m >= 128});
      for (const bool nvfp4 : {false, true})
        checks.push_back({std::string(nvfp4 ? "nunchaku nvfp4" : "nunchaku int4") + name,
                          [=] {
                            return check_svdq_linear(
                                {rows, columns, nvfp4 ? 16u : 32u, nvfp4, kStored}, activation, m);
                          },
                          m >= 128});
    }
  }
  checks.push_back({"nunchaku int4 without a low-rank part", [] {
                      return check_svdq_linear({128, 128, 0, false, kStored}, WeightType::f16, 20);
                    }});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
