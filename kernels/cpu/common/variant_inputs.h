// Weights on which the compilations of a kernel are compared with the plain one.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/common/numbers.h"

namespace precis::kernels::testing {

struct VariantInput {
  std::string name;
  std::vector<float> values;
};

// `rows` x `columns` numbers of every kind that has broken an encoder: ordinary ones, blocks of
// zeros, constants, one sign only, ties, subnormals, numbers next to overflow, infinities, NaNs.
inline std::vector<VariantInput> variant_inputs(uint64_t rows, uint64_t columns) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
  std::vector<VariantInput> inputs;
  const auto add = [&](const char* name, auto value) {
    VariantInput input{name, std::vector<float>(rows * columns)};
    for (uint64_t i = 0; i < input.values.size(); ++i) input.values[i] = value(i);
    inputs.push_back(std::move(input));
  };
  add("normal", [&](uint64_t) { return normal(random); });
  add("heavy columns", [&](uint64_t i) { return normal(random) * (i % 37 == 0 ? 50.0f : 1.0f); });
  add("blocks of zeros", [&](uint64_t i) { return i / 16 % 3 == 0 ? 0.0f : normal(random); });
  add("zeros", [&](uint64_t i) { return i % 5 == 0 ? -0.0f : 0.0f; });
  add("constant blocks", [&](uint64_t i) { return i / 32 % 2 == 0 ? 0.25f : -3.0f; });
  add("positive", [&](uint64_t) { return std::fabs(normal(random)) + 0.001f; });
  add("negative", [&](uint64_t) { return -std::fabs(normal(random)) - 0.001f; });
  add("small integers", [&](uint64_t) { return std::floor(uniform(random) * 17.0f) - 8.0f; });
  add("halves", [&](uint64_t) { return (std::floor(uniform(random) * 65.0f) - 32.0f) * 0.5f; });
  add("blocks of many sizes", [&](uint64_t i) {
    return normal(random) * std::ldexp(1.0f, static_cast<int>(i / 16 % 60) - 30);
  });
  add("subnormal", [&](uint64_t) { return normal(random) * 1e-38f; });
  add("next to underflow", [&](uint64_t) { return normal(random) * 1e-19f; });
  add("next to overflow", [&](uint64_t) { return (uniform(random) * 2.0f - 1.0f) * 3.4e38f; });
  add("some infinities", [&](uint64_t i) {
    return i % 97 == 3 ? std::copysign(INFINITY, normal(random)) : normal(random);
  });
  add("some NaNs", [&](uint64_t i) {
    return i % 131 == 5 ? std::numeric_limits<float>::quiet_NaN() : normal(random);
  });
  return inputs;
}

inline constexpr WeightType kWeightTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};

// The instruction sets of this machine above the plain one.
inline std::vector<Isa> faster_variants() {
  const std::span<const Isa> all = machine_isas();
  return {all.begin() + 1, all.end()};
}

// The bytes of `values` in `type`, with room for float32.
inline std::vector<std::byte> stored_as(WeightType type, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    auto* out = reinterpret_cast<typename Type::Stored*>(bytes.data());
    for (uint64_t i = 0; i < values.size(); ++i) Type::store(out, i, values[i]);
  });
  return bytes;
}

// The same bits, or NaN in both.
inline void expect_equal_numbers(WeightType type, const std::vector<std::byte>& expected,
                                 const std::vector<std::byte>& actual, uint64_t count,
                                 const std::string& where) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* left = reinterpret_cast<const typename Type::Stored*>(expected.data());
    const auto* right = reinterpret_cast<const typename Type::Stored*>(actual.data());
    for (uint64_t i = 0; i < count; ++i) {
      const float x = Type::load(left, i), y = Type::load(right, i);
      if (std::isnan(x) && std::isnan(y)) continue;
      ASSERT_EQ(std::bit_cast<uint32_t>(x), std::bit_cast<uint32_t>(y))
          << where << ", element " << i;
    }
  });
}

}  // namespace precis::kernels::testing
