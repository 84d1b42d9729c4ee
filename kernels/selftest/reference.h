// Inputs, and what kernels must make of them, computed on the CPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

// Deterministic values; the same seed gives the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}
  uint32_t bits();
  float uniform(float low, float high);
  float normal();  // near enough: the sum of twelve uniform values

 private:
  uint64_t state_;
};

// `count` numbers of dtype `type`, as bytes.
std::vector<uint8_t> encode(WeightType type, const std::vector<float>& values);
std::vector<float> decode(WeightType type, const std::vector<uint8_t>& bytes);
uint64_t bytes_of(WeightType type);
const char* name_of(WeightType type);

std::vector<float> normal_values(Random& random, uint64_t count);

// Normal numbers, as bytes, with a row of zeros, tiny numbers, halves, a NaN and an infinity: what
// encoders meet.
std::vector<uint8_t> odd_weights(WeightType type, uint32_t rows, uint32_t columns);

float rounded(WeightType type, float value);

// Each block of `size` numbers, rounded to `type`, times the Hadamard matrix that is a power of
// [[1, 1], [1, -1]] (base 2) or of [[1,1,1,-1], [1,1,-1,1], [1,-1,1,1], [-1,1,1,1]] (base 4), over
// the root of its size, and rounded again; a size of 0: as they are.
std::vector<float> rotated(std::vector<float> values, uint64_t size, uint64_t base,
                           WeightType type);
// In double, before the root and the rounding.
void add_rotated(std::vector<double>& block, uint64_t base);

// Empty when both hold the same bits, NaNs compared as NaNs.
std::string compare_bits(WeightType type, const std::vector<uint8_t>& expected,
                         const std::vector<uint8_t>& actual);
template <class T>
std::string compare_equal(const char* what, const std::vector<T>& expected,
                          const std::vector<T>& actual) {
  for (uint64_t i = 0; i < expected.size(); ++i)
    if (!(expected[i] == actual[i]))
      return std::string(what) + "[" + std::to_string(i) + "]: expected " +
             std::to_string(expected[i]) + ", got " + std::to_string(actual[i]);
  return "";
}

// y = x W^T + bias.
struct LinearCase {
  uint32_t m, rows, columns;
  WeightType activation;
  std::vector<float> weight;  // [rows][columns], decoded
  std::vector<float> x;       // [m][columns], values of the activation's dtype
  std::vector<float> bias;    // [rows] or empty
};

// Compares y with the sums in double. Each may differ by relative_error * sum |w x| and by the
// rounding to the activation's dtype.
std::string compare_linear(const LinearCase& linear, double relative_error,
                           const std::vector<uint8_t>& y);

}  // namespace precis::kernels
