#include "kernels/selftest/reference.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace precis::kernels {

uint32_t Random::bits() {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return static_cast<uint32_t>(state_ >> 32);
}

float Random::uniform(float low, float high) {
  return low + (high - low) * (static_cast<float>(bits() >> 8) * 0x1p-24f);
}

float Random::normal() {
  float sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform(0, 1);
  return sum;
}

uint64_t bytes_of(WeightType type) {
  return type == WeightType::f32 ? 4 : 2;
}

const char* name_of(WeightType type) {
  return type == WeightType::f32 ? "f32" : type == WeightType::f16 ? "f16" : "bf16";
}

std::vector<uint8_t> encode(WeightType type, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * bytes_of(type));
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t i = 0; i < values.size(); ++i) {
      typename Type::Stored stored;
      Type::store(&stored, 0, values[i]);
      std::memcpy(&bytes[i * sizeof stored], &stored, sizeof stored);
    }
  });
  return bytes;
}

std::vector<float> decode(WeightType type, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / bytes_of(type));
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t i = 0; i < values.size(); ++i) {
      typename Type::Stored stored;
      std::memcpy(&stored, &bytes[i * sizeof stored], sizeof stored);
      values[i] = Type::load(&stored, 0);
    }
  });
  return values;
}

std::vector<float> normal_values(Random& random, uint64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = random.normal();
  return values;
}

std::vector<uint8_t> odd_weights(WeightType type, uint32_t rows, uint32_t columns) {
  Random random(rows * 3 + columns);
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / columns, column = i % columns;
    if (row == 1) values[i] = 0;
    if (row == 2) values[i] *= 1e-6f;
    if (row == 3) values[i] = static_cast<float>(static_cast<int>(column % 257) - 128) * 0.5f;
    if (row == 4 && column == 3) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (row == 5 && column == 7) values[i] = -std::numeric_limits<float>::infinity();
  }
  return encode(type, values);
}

float rounded(WeightType type, float value) {
  return decode(type, encode(type, {value}))[0];
}

// A digit of the index after the other, the lowest first.
void add_rotated(std::vector<double>& block, uint64_t base) {
  for (uint64_t apart = 1; apart < block.size(); apart *= base) {
    std::vector<double> next(block.size());
    for (uint64_t i = 0; i < block.size(); ++i) {
      const uint64_t digit = i / apart % base, first = i - digit * apart;
      double sum = 0;
      for (uint64_t j = 0; j < base; ++j) {
        const bool minus = base == 2 ? digit + j == 2 : digit + j == 3;
        const double value = block[first + j * apart];
        sum = j == 0 && base == 2 ? value : sum + (minus ? -value : value);
      }
      next[i] = sum;
    }
    block = next;
  }
}

std::vector<float> rotated(std::vector<float> values, uint64_t size, uint64_t base,
                           WeightType type) {
  for (uint64_t begin = 0; size != 0 && begin < values.size(); begin += size) {
    std::vector<double> block;
    for (uint64_t i = 0; i < size; ++i)
      block.push_back(static_cast<double>(rounded(type, values[begin + i])));
    add_rotated(block, base);
    const double factor = 1 / std::sqrt(static_cast<double>(size));
    for (uint64_t i = 0; i < size; ++i)
      values[begin + i] = rounded(type, static_cast<float>(block[i] * factor));
  }
  return values;
}

std::string compare_bits(WeightType type, const std::vector<uint8_t>& expected,
                         const std::vector<uint8_t>& actual) {
  const std::vector<float> wanted = decode(type, expected), got = decode(type, actual);
  for (uint64_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i]) && std::isnan(got[i])) continue;
    const uint64_t bytes = bytes_of(type);
    if (std::memcmp(&expected[i * bytes], &actual[i * bytes], bytes) == 0) continue;
    char text[160];
    std::snprintf(text, sizeof text, "element %llu: expected %a, got %a",
                  static_cast<unsigned long long>(i), static_cast<double>(wanted[i]),
                  static_cast<double>(got[i]));
    return text;
  }
  return "";
}

std::string compare_linear(const LinearCase& linear, double relative_error,
                           const std::vector<uint8_t>& y) {
  const std::vector<float> got = decode(linear.activation, y);
  const bool half = linear.activation == WeightType::f16;
  const double rounding = half ? 0x1p-11 : 0x1p-8, smallest = half ? 0x1p-25 : 0x1p-134;
  for (uint32_t i = 0; i < linear.m; ++i) {
    for (uint32_t row = 0; row < linear.rows; ++row) {
      double sum = 0, magnitude = 0;
      for (uint32_t k = 0; k < linear.columns; ++k) {
        const double product =
            static_cast<double>(linear.weight[uint64_t{row} * linear.columns + k]) *
            static_cast<double>(linear.x[uint64_t{i} * linear.columns + k]);
        sum += product;
        magnitude += std::fabs(product);
      }
      if (!linear.bias.empty()) {
        sum += static_cast<double>(linear.bias[row]);
        magnitude += std::fabs(static_cast<double>(linear.bias[row]));
      }
      const double value = static_cast<double>(got[uint64_t{i} * linear.rows + row]);
      if (std::isnan(sum) && std::isnan(value)) continue;
      const double sum_error = relative_error * magnitude;
      const double bound = sum_error + (std::fabs(sum) + sum_error) * rounding + smallest;
      if (std::fabs(value - sum) <= bound) continue;
      char text[200];
      std::snprintf(text, sizeof text, "y[%u][%u]: expected %.9g, got %.9g, bound %.3g", i, row,
                    sum, value, bound);
      return text;
    }
  }
  return "";
}

}  // namespace precis::kernels
