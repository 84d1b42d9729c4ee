// HIGGS' weights, packed here bit by bit as FLUTE's kernels want them. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "kernels/device/higgs.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Form {
  uint32_t bits, tile, rows, columns, group, rotated;
};

struct Place {
  uint64_t word, column, bit;
};
// Three bits: sixteen rows 32 apart follow each other in 96 bits of two columns, of which 90 fill
// three words of 30 bits and the last 6 their upper bits.
Place three_bit_place(uint64_t rows, uint64_t n, uint64_t k, uint64_t bit) {
  constexpr uint64_t kOrder[] = {0, 3, 6, 9, 12, 1, 4, 7, 10, 13, 2, 5, 8, 11, 14, 15};
  const auto rank = static_cast<uint64_t>(
      std::find(std::begin(kOrder), std::end(kOrder), n % 512 / 32) - std::begin(kOrder));
  const uint64_t stream = 3 * (2 * rank + 1 - k % 2) + bit;
  const uint64_t word = stream < 90 ? stream / 30 : (stream - 90) / 2,
                 at = stream < 90 ? stream % 30 : 30 + stream % 2;
  const uint64_t row =
      word == 0 ? n / 512 * 32 + n % 32 : rows / 16 + (n / 512 * 2 + word - 1) * 32 + n % 32;
  return {row, k / 2 * 2 + at / 16, at % 16};
}
Place place_of(const Form& form, uint64_t n, uint64_t k, uint64_t bit) {
  if (form.bits == 3) return three_bit_place(form.rows, n, k, bit);
  const uint64_t together = 16 / form.bits, rank = n % (form.tile * together) / form.tile;
  return {n / (form.tile * together) * form.tile + n % form.tile, k / 2 * 2 + rank / (together / 2),
          (2 * (rank % (together / 2)) + 1 - k % 2) * form.bits + bit};
}

struct Stored {
  Form form;
  WeightType type;
  std::vector<uint16_t> words;
  std::vector<uint8_t> scales, pairs;
  std::vector<double> numbers;  // before they are rotated

  Stored(const Form& of, WeightType of_type) : form(of), type(of_type) {
    Random random(form.rows + form.columns + form.bits);
    const uint64_t levels = uint64_t{1} << form.bits;
    words.resize(uint64_t{form.rows} * form.bits / 16 * form.columns);
    pairs = encode(type, normal_values(random, levels * levels * 2));
    std::vector<float> of_groups(uint64_t{form.rows} * form.columns / form.group);
    for (float& scale : of_groups) scale = random.uniform(0.01f, 0.05f);
    scales = encode(type, of_groups);
    of_groups = decode(type, scales);
    const std::vector<float> table = decode(type, pairs);
    for (uint64_t n = 0; n < form.rows; ++n) {
      for (uint64_t k = 0; k < form.columns; k += 2) {
        const uint64_t codes[] = {(random.bits() >> 9) % levels, (random.bits() >> 9) % levels};
        for (uint64_t i = 0; i < 2; ++i) {
          for (uint64_t bit = 0; bit < form.bits; ++bit) {
            const Place place = place_of(form, n, k + i, bit);
            uint16_t& word = words[place.word * form.columns + place.column];
            word = static_cast<uint16_t>(word | (codes[i] >> bit & 1) << place.bit);
          }
          numbers.push_back(double{table[(codes[0] * levels + codes[1]) * 2 + i]} *
                            double{of_groups[n * (form.columns / form.group) + k / form.group]});
        }
      }
    }
  }
  std::vector<float> values() const {
    std::vector<float> out;
    for (uint64_t begin = 0; begin < numbers.size(); begin += form.rotated) {
      const auto from = numbers.begin() + static_cast<long>(begin);
      std::vector<double> block(from, from + form.rotated);
      add_rotated(block, 2);
      for (const double value : block)
        out.push_back(
            static_cast<float>(value * (1 / std::sqrt(static_cast<double>(form.rotated)))));
    }
    return out;
  }
};

struct OnDevice {
  DeviceArray<uint16_t> words;
  DeviceArray<uint8_t> scales, pairs;
  HiggsTensor tensor;
  explicit OnDevice(const Stored& w)
      : words(w.words),
        scales(w.scales),
        pairs(w.pairs),
        tensor{w.form.rows,
               w.form.columns,
               w.form.bits,
               w.form.tile,
               w.form.group,
               words.data(),
               {w.type, scales.data()},
               reinterpret_cast<const uint32_t*>(pairs.data()),
               {RotationKind::twos,
                w.form.rotated,
                1 / std::sqrt(static_cast<double>(w.form.rotated)),
                {},
                false}} {}
};

std::string check_dequantize(const Form& form, WeightType type, WeightType out_type) {
  const Stored stored(form, type);
  const OnDevice device(stored);
  const DeviceArray<uint8_t> out(stored.numbers.size() * bytes_of(out_type));
  if (const char* error = dequantize_higgs(device.tensor, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, stored.values()), out.values());
}

std::string check_linear(const Form& form, WeightType activation, uint32_t m) {
  const Stored stored(form, activation);
  const OnDevice device(stored);
  Random random(m + form.columns);
  LinearCase linear{m, form.rows, form.columns, activation, {}, {}, {}};
  linear.weight.assign(stored.numbers.begin(), stored.numbers.end());
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x =
      encode(activation, normal_values(random, uint64_t{m} * form.columns));
  linear.x = rotated(decode(activation, x), form.rotated, 2, activation);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, form.rows));
  linear.bias = decode(activation, bias);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * form.rows * 2),
      workspace(higgs_workspace(m, form.columns));
  if (const char* error = linear_higgs(device.tensor, activation, device_x.data(),
                                       device_bias.data(), y.data(), m, workspace.data(), nullptr))
    return error;
  return compare_linear(
      linear, m <= 8 ? (form.columns / 32.0 + 16) * 0x1p-24 : form.columns * 0x1p-23, y.values());
}

}  // namespace

std::vector<Check> higgs_checks(CheckSize size) {
  std::vector<Check> checks;
  const Form forms[] = {{2, 32, 256, 128, 64, 64},   {2, 64, 512, 64, 64, 32},
                        {3, 32, 512, 128, 128, 128}, {3, 32, 1024, 64, 64, 64},
                        {4, 32, 128, 256, 64, 256},  {4, 64, 256, 128, 64, 16}};
  for (const Form& form : forms)
    for (const WeightType type : {WeightType::f16, WeightType::bf16})
      for (const WeightType out : {WeightType::f32, WeightType::f16, WeightType::bf16})
        checks.push_back({"higgs " + std::to_string(form.bits) + " bits " + kernels::name_of(type) +
                              " dequantize to " + kernels::name_of(out),
                          [=] { return check_dequantize(form, type, out); }});
  const uint32_t columns = size == CheckSize::large ? 4096 : 256;
  for (const Form& form : {Form{4, 32, 128, columns, 64, 256}, Form{3, 32, 512, columns, 256, 128}})
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"higgs " + std::to_string(form.bits) + " bits linear " +
                              kernels::name_of(activation) + " " + std::to_string(m) + " rows",
                          [=] { return check_linear(form, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
