// Products in every arithmetic and on every instruction set of the machine, against sums of double
// precision.
#include "kernels/cpu/linear/product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace precis::kernels {
namespace {

struct Shape {
  uint64_t rows, out_features, in_features;
};
// Few rows and many, panels and tiles that are not full, columns beyond a strip.
constexpr Shape kShapes[] = {{1, 5, 128},    {2, 17, 1024},  {3, 97, 160},  {4, 16, 2208},
                             {5, 100, 1056}, {8, 33, 96},    {12, 20, 288}, {13, 98, 1216},
                             {31, 7, 64},    {70, 130, 512}, {8, 301, 128}};

class Random {
 public:
  float number() { return std::uniform_real_distribution<float>(-1, 1)(engine_); }
  int integer(int low, int high) { return std::uniform_int_distribution(low, high)(engine_); }
  std::vector<float> numbers(uint64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = number();
    return values;
  }

 private:
  std::mt19937 engine_{11};
};

LinearWeight weight_of(Arithmetic arithmetic, const Shape& shape, const void* format) {
  LinearWeight weight{};
  weight.arithmetic = arithmetic;
  weight.out_features = shape.out_features;
  weight.in_features = shape.in_features;
  weight.format = format;
  return weight;
}

void run(Isa isa, const LinearWeight& weight, const Activations& x, const Shape& shape, void* y) {
  const TaskRunner tasks{2, [](uint64_t count, const std::function<void(uint64_t)>& body) {
                           for (uint64_t task = 0; task < count; ++task) body(task);
                         }};
  const uint64_t bytes =
      linear_workspace(isa, weight.arithmetic, shape.in_features, shape.rows, tasks.concurrency);
  // What stood in the workspace before must not matter.
  std::vector<std::byte> workspace(bytes + 64, std::byte{0xff});
  auto* aligned = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64);
  linear_product(isa, weight, x, {y, shape.out_features, nullptr}, aligned, tasks);
}
std::vector<float> product(Isa isa, const LinearWeight& weight, const std::vector<float>& x,
                           const Shape& shape) {
  std::vector<float> y(shape.rows * shape.out_features);
  run(isa, weight, {WeightType::f32, x.data(), shape.rows, shape.in_features}, shape, y.data());
  return y;
}

// What an element of y should be, and how large the numbers are that it is the sum of.
struct Sum {
  double value = 0, magnitude = 0;
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
  }
};
// sums(row, out) is the Sum. tolerance: of its magnitude.
template <typename Sums>
void expect_sums(Isa isa, const std::vector<float>& y, const Shape& shape, double tolerance,
                 Sums sums) {
  for (uint64_t row = 0; row < shape.rows; ++row) {
    for (uint64_t out = 0; out < shape.out_features; ++out) {
      const Sum expected = sums(row, out);
      ASSERT_NEAR(y[row * shape.out_features + out], expected.value, tolerance * expected.magnitude)
          << isa_name(isa) << ", " << shape.rows << " x " << shape.out_features << " x "
          << shape.in_features << ", row " << row << ", output " << out;
    }
  }
}
template <typename Sums>
void expect_product(Isa isa, const LinearWeight& weight, const std::vector<float>& x,
                    const Shape& shape, Sums sums, double tolerance = 2e-6) {
  expect_sums(isa, product(isa, weight, x, shape), shape, tolerance, sums);
}

template <typename Test>
void for_isas_and_shapes(Test test) {
  for (const Isa isa : machine_isas())
    for (const Shape& shape : kShapes) test(isa, shape);
}

struct StoredFloats {
  std::vector<float> values;
  uint64_t columns;

  const float* row(uint64_t index) const { return values.data() + index * columns; }
  Sum sum(uint64_t index, const float* x) const {
    Sum sum;
    for (uint64_t i = 0; i < columns; ++i) sum.add(double{x[i]} * row(index)[i]);
    return sum;
  }
  static void decode(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
    const auto& stored = *static_cast<const StoredFloats*>(format);
    std::copy_n(stored.row(row) + begin, end - begin, static_cast<float*>(out));
  }
};

TEST(Product, of_floats) {
  for_isas_and_shapes([](Isa isa, const Shape& shape) {
    Random random;
    const StoredFloats stored{random.numbers(shape.out_features * shape.in_features),
                              shape.in_features};
    const std::vector<float> x = random.numbers(shape.rows * shape.in_features);
    LinearWeight weight = weight_of(Arithmetic::float32, shape, &stored);
    weight.decode_floats = StoredFloats::decode;
    expect_product(isa, weight, x, shape, [&](uint64_t row, uint64_t out) {
      return stored.sum(out, x.data() + row * shape.in_features);
    });
  });
}

// Each row of the weight is asked for, and its sums come to its place in y, also where out_features
// is not a multiple of the rows that share bytes, or is below their number.
TEST(Product, of_rows_that_share_bytes) {
  for (const uint64_t sharing : {1, 2, 4, 8, 10, 16}) {
    for_isas_and_shapes([&](Isa isa, const Shape& shape) {
      if (shape.in_features % kDotColumns != 0) return;
      Random random;
      const StoredFloats stored{random.numbers(shape.out_features * shape.in_features),
                                shape.in_features};
      const std::vector<float> x = random.numbers(shape.rows * shape.in_features);
      LinearWeight weight = weight_of(Arithmetic::float32, shape, &stored);
      weight.decode_floats = StoredFloats::decode;
      weight.row_dot.x_type = WeightType::f32;
      weight.row_dot.is_exact = true;
      weight.row_dot.sharing = sharing;
      weight.row_dot.multiply = [](const void* format, std::span<const uint64_t> rows,
                                   const ActivationRows& activations, float* sums) {
        const auto& floats = *static_cast<const StoredFloats*>(format);
        ASSERT_LE(rows.size(), uint64_t{kDotRows});
        for (uint64_t i = 0; i < rows.size(); ++i) {
          ASSERT_LT(rows[i] * floats.columns, floats.values.size());
          for (uint64_t j = 0; j < activations.count; ++j) {
            const auto* numbers = static_cast<const float*>(activations.numbers);
            sums[i * activations.count + j] =
                static_cast<float>(floats.sum(rows[i], numbers + j * activations.stride).value);
          }
        }
      };
      expect_product(isa, weight, x, shape, [&](uint64_t row, uint64_t out) {
        return stored.sum(out, x.data() + row * shape.in_features);
      });
    });
  }
}

// Numbers that bfloat16 holds exactly.
struct BFloat16s {
  std::vector<uint16_t> bits;
  uint64_t columns;
  BFloat16s(Random& random, uint64_t rows, uint64_t columns_of_row)
      : bits(rows * columns_of_row), columns(columns_of_row) {
    for (auto& number : bits) number = float_to_bfloat16(random.number());
  }
  double at(uint64_t row, uint64_t column) const {
    return bfloat16_to_float(bits[row * columns + column]);
  }
};

TEST(Product, of_bfloat16) {
  for_isas_and_shapes([](Isa isa, const Shape& shape) {
    if (float_arithmetic(isa, WeightType::bf16) != Arithmetic::bfloat16) return;
    Random random;
    const BFloat16s stored(random, shape.out_features, shape.in_features);
    const BFloat16s x(random, shape.rows, shape.in_features);
    LinearWeight weight = weight_of(Arithmetic::bfloat16, shape, &stored);
    weight.decode_floats = [](const void* format, uint64_t row, uint64_t begin, uint64_t end,
                              void* out) {
      const auto& numbers = *static_cast<const BFloat16s*>(format);
      std::copy_n(numbers.bits.data() + row * numbers.columns + begin, end - begin,
                  static_cast<uint16_t*>(out));
    };
    std::vector<uint16_t> stored_y(shape.rows * shape.out_features);
    run(isa, weight, {WeightType::bf16, x.bits.data(), shape.rows, shape.in_features}, shape,
        stored_y.data());
    std::vector<float> y(stored_y.size());
    std::transform(stored_y.begin(), stored_y.end(), y.begin(), bfloat16_to_float);
    expect_sums(isa, y, shape, 2.5e-3, [&](uint64_t row, uint64_t out) {
      Sum sum;
      for (uint64_t i = 0; i < shape.in_features; ++i) sum.add(x.at(row, i) * stored.at(out, i));
      return sum;
    });
  });
}

// Activations that 8 bits hold exactly: whole numbers with 127 as the largest of each block.
std::vector<float> whole_numbers(Random& random, const Shape& shape) {
  std::vector<float> x(shape.rows * shape.in_features);
  for (uint64_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i % 32 == 7 ? -127 : random.integer(-127, 127));
  return x;
}

TEST(Product, of_int8_rows_with_outliers) {
  for_isas_and_shapes([](Isa isa, const Shape& shape) {
    Random random;
    std::vector<int8_t> codes(shape.out_features * shape.in_features);
    for (auto& code : codes) code = static_cast<int8_t>(random.integer(-128, 127));
    std::vector<float> scb(shape.out_features);
    for (float& scale : scb) scale = 127.0f * (1.5f + random.number());
    std::vector<float> x = whole_numbers(random, shape);
    const uint64_t outlier = shape.in_features / 2 + 3;
    x[outlier] = 1000;
    LinearWeight weight = weight_of(Arithmetic::int8_rows, shape, nullptr);
    weight.codes = codes.data();
    weight.scb = scb.data();
    weight.threshold = 500;
    const auto sums = [&](uint64_t row, uint64_t out) {
      Sum sum;
      for (uint64_t i = 0; i < shape.in_features; ++i) {
        sum.add(double{x[row * shape.in_features + i]} * codes[out * shape.in_features + i] *
                scb[out] / 127);
      }
      return sum;
    };
    // LLM.int8()'s 1 / 127^2 has a digit too many.
    expect_product(isa, weight, x, shape, sums, 2e-5);
  });
}

// A weight in blocks, value = scale * (code - offset) + minimum.
struct Blocks {
  uint64_t columns, block;
  std::vector<uint8_t> codes;
  std::vector<float> scales, minimums;

  Blocks(Random& random, const Shape& shape, uint64_t columns_of_block, int largest_code)
      : columns(shape.in_features),
        block(columns_of_block),
        codes(shape.out_features * columns),
        scales(random.numbers(codes.size() / block)),
        minimums(random.numbers(codes.size() / block)) {
    for (auto& code : codes) code = static_cast<uint8_t>(random.integer(0, largest_code));
  }
  static void decode(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                     uint8_t* to_codes, float* to_scales, float* to_minimums) {
    const auto& stored = *static_cast<const Blocks*>(format);
    const uint64_t first = row * stored.columns + begin, count = end - begin;
    std::copy_n(stored.codes.data() + first, count, to_codes);
    std::copy_n(stored.scales.data() + first / stored.block, count / stored.block, to_scales);
    std::copy_n(stored.minimums.data() + first / stored.block, count / stored.block, to_minimums);
  }
};

TEST(Product, of_int8_blocks) {
  struct Format {
    uint32_t block;
    int32_t offset;
    int largest_code;
    bool minimums;
  };
  for (const Format& format :
       {Format{32, 0, 31, true}, Format{32, 8, 15, false}, Format{32, 128, 255, false},
        Format{16, 32, 63, false}, Format{16, 0, 3, true}, Format{16, 128, 255, true}}) {
    for_isas_and_shapes([&](Isa isa, const Shape& shape) {
      Random random;
      const Blocks stored(random, shape, format.block, format.largest_code);
      const std::vector<float> x = whole_numbers(random, shape);
      LinearWeight weight = weight_of(Arithmetic::int8_blocks, shape, &stored);
      weight.decode_codes = Blocks::decode;
      weight.block = format.block;
      weight.offset = format.offset;
      weight.minimums = format.minimums;
      expect_product(isa, weight, x, shape, [&](uint64_t row, uint64_t out) {
        Sum sum;
        for (uint64_t i = 0; i < shape.in_features; ++i) {
          const uint64_t at = out * shape.in_features + i;
          const double number = x[row * shape.in_features + i];
          const double scale = stored.scales[at / format.block];
          sum.add(number * scale * stored.codes[at]);
          sum.add(number * scale * -format.offset);
          if (format.minimums) sum.add(number * stored.minimums[at / format.block]);
        }
        return sum;
      });
    });
  }
}

TEST(Product, of_a_row_with_an_infinity_spoils_no_other) {
  for_isas_and_shapes([](Isa isa, const Shape& shape) {
    Random random;
    const Blocks stored(random, shape, 32, 255);
    std::vector<float> x = whole_numbers(random, shape);
    LinearWeight weight = weight_of(Arithmetic::int8_blocks, shape, &stored);
    weight.decode_codes = Blocks::decode;
    weight.offset = 128;
    const std::vector<float> before = product(isa, weight, x, shape);
    x[shape.in_features - 1] = INFINITY;
    const std::vector<float> after = product(isa, weight, x, shape);
    for (uint64_t i = 0; i < after.size(); ++i) {
      if (i < shape.out_features)
        EXPECT_FALSE(std::isfinite(after[i]));
      else
        EXPECT_EQ(after[i], before[i]) << isa_name(isa);
    }
  });
}

}  // namespace
}  // namespace precis::kernels
