// Products by AMX tiles beside those by vectors: on tiles in software wherever there is AVX-512, on
// the processor's where it has them.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/linear/stages.h"

namespace precis::kernels {

// tile_kernels.cpp over SoftwareTiles.
namespace amx_software {
const ProductStages& tile_stages();
}

namespace {

// As the decoders below read it.
struct PlainWeight {
  uint64_t rows, columns, block = 32;  // block: columns that share a scale
  std::vector<float> numbers;          // that bfloat16 holds
  std::vector<uint8_t> codes;
  std::vector<float> scales, minimums;

  PlainWeight(uint64_t out, uint64_t in, uint64_t neighbours, int most_code)
      : rows(out), columns(in), block(neighbours) {
    std::mt19937 random(static_cast<unsigned>(out * 31 + in));
    std::normal_distribution<float> normal;
    const uint64_t blocks = rows * ((columns + block - 1) / block);
    for (uint64_t i = 0; i < rows * columns; ++i) {
      numbers.push_back(bfloat16_to_float(float_to_bfloat16(normal(random))));
      codes.push_back(static_cast<uint8_t>(random() % static_cast<unsigned>(most_code + 1)));
    }
    for (uint64_t i = 0; i < blocks; ++i) {
      scales.push_back(normal(random));
      minimums.push_back(normal(random));
    }
  }
  const float* of_block(const std::vector<float>& list, uint64_t row, uint64_t column) const {
    return list.data() + row * ((columns + block - 1) / block) + column / block;
  }
};

const PlainWeight& plain(const void* format) {
  return *static_cast<const PlainWeight*>(format);
}

void decode_bfloat16(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const float* numbers = plain(format).numbers.data() + row * plain(format).columns;
  for (uint64_t i = begin; i < end; ++i)
    static_cast<uint16_t*>(out)[i - begin] = float_to_bfloat16(numbers[i]);
}
void decode_float32(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const float* numbers = plain(format).numbers.data() + row * plain(format).columns;
  std::copy(numbers + begin, numbers + end, static_cast<float*>(out));
}
void decode_bfloat16_rows(const void* format, uint64_t row, uint64_t rows, uint64_t begin,
                          uint64_t end, void* out, uint64_t stride) {
  for (uint64_t i = 0; i < rows; ++i)
    decode_bfloat16(format, row + i, begin, end, static_cast<uint16_t*>(out) + i * stride);
}
void decode_groups(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint16_t* out,
                   float* scales) {
  const PlainWeight& weight = plain(format);
  decode_bfloat16(format, row, begin, end, out);
  for (uint64_t i = begin; i < end; i += weight.block)
    *scales++ = *weight.of_block(weight.scales, row, i);
}
void decode_codes(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint8_t* codes,
                  float* scales, float* minimums) {
  const PlainWeight& weight = plain(format);
  std::copy(weight.codes.data() + row * weight.columns + begin,
            weight.codes.data() + row * weight.columns + end, codes);
  for (uint64_t i = begin; i < end; i += weight.block) {
    *scales++ = *weight.of_block(weight.scales, row, i);
    *minimums++ = *weight.of_block(weight.minimums, row, i);
  }
}

LinearWeight linear_weight(const PlainWeight& plain, Arithmetic arithmetic) {
  LinearWeight weight{};
  weight.arithmetic = arithmetic;
  weight.out_features = plain.rows;
  weight.in_features = plain.columns;
  weight.format = &plain;
  return weight;
}

// Activations of `type`, as they are stored and as they are read.
struct Rows {
  WeightType type;
  uint64_t count, columns;
  std::vector<float> numbers;
  std::vector<std::byte> stored;

  Rows(WeightType stored_type, uint64_t rows, uint64_t width, float spoilt = 0)
      : type(stored_type), count(rows), columns(width), numbers(rows * width) {
    std::mt19937 random(static_cast<unsigned>(rows));
    std::normal_distribution<float> normal;
    stored.resize(numbers.size() * sizeof(float));
    with_type(type, [&](auto tag) {
      using Type = decltype(tag);
      auto* out = reinterpret_cast<typename Type::Stored*>(stored.data());
      for (uint64_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = normal(random) * (i % columns == 7 ? 9.0f : 1.0f);
        if (spoilt != 0 && i == columns + 5) numbers[i] = spoilt;
        Type::store(out, i, numbers[i]);
        numbers[i] = Type::load(out, i);
      }
    });
  }
};

struct Variant {
  std::string name;
  const ProductStages& stages;
};

std::vector<Variant> tile_variants() {
  std::vector<Variant> variants = {{"software", amx_software::tile_stages()}};
  if (machine_isas().back() == Isa::amx) variants.push_back({"hardware", product_stages(Isa::amx)});
  return variants;
}

// y of `x` in float32 whatever its type: bfloat16 would hide differences.
std::vector<float> product(const ProductStages& stages, const LinearWeight& weight, const Rows& x) {
  constexpr uint64_t kThreads = 2;
  std::vector<std::byte> memory(
      linear_workspace(Isa::avx512_dot, weight.arithmetic, weight.in_features, x.count, kThreads) +
          64,
      std::byte{0xff});  // what stood there before must not matter
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  std::vector<std::byte> y(x.count * weight.out_features * sizeof(float));
  linear_product(stages, weight, {x.type, x.stored.data(), x.count, x.columns},
                 {y.data(), weight.out_features, nullptr}, memory.data() + (64 - address % 64) % 64,
                 {kThreads, [](uint64_t tasks, const std::function<void(uint64_t)>& body) {
                    for (uint64_t task = 0; task < tasks; ++task) body(task);
                  }});
  std::vector<float> values(x.count * weight.out_features);
  with_type(x.type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t i = 0; i < values.size(); ++i)
      values[i] = Type::load(reinterpret_cast<const typename Type::Stored*>(y.data()), i);
  });
  return values;
}

class TileProducts : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_bfloat16_dot(machine_isas().back())) GTEST_SKIP() << "tiles go with AVX-512";
  }
};

void expect_the_bits_of_vectors(const LinearWeight& weight, const Rows& x) {
  const std::vector<float> expected = product(vector_stages(Isa::avx512_dot), weight, x);
  for (const Variant& variant : tile_variants()) {
    const std::vector<float> y = product(variant.stages, weight, x);
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(y[i]), std::bit_cast<uint32_t>(expected[i]))
          << variant.name << ", " << weight.out_features << " x " << weight.in_features << ", "
          << x.count << " rows, element " << i;
    }
  }
}

// Rows of x up to beyond a turn of kTurnRows; rows and columns of the weight that end anywhere.
struct Shape {
  uint64_t rows, columns, x_rows;
};
constexpr Shape kShapes[] = {{1, 32, 13},    {31, 160, 16},  {33, 1056, 17},
                             {97, 4128, 49}, {100, 224, 65}, {193, 64, 600}};

TEST_F(TileProducts, OfInt8RowsAreThoseOfVectors) {
  for (const auto& [rows, columns, x_rows] : kShapes) {
    const PlainWeight plain(rows, columns, columns, 255);
    for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
      LinearWeight weight = linear_weight(plain, Arithmetic::int8_rows);
      weight.codes = reinterpret_cast<const int8_t*>(plain.codes.data());
      weight.scb = plain.scales.data();
      const Rows x(type, x_rows, columns);
      expect_the_bits_of_vectors(weight, x);
      weight.threshold = 6.0f;  // column 7 of x holds outliers
      expect_the_bits_of_vectors(weight, x);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(TileProducts, OfInt8BlocksAreThoseOfVectors) {
  for (const auto& [rows, columns, x_rows] : kShapes) {
    for (const uint32_t block : {32u, 16u}) {
      const PlainWeight plain(rows, columns, block, 255);
      LinearWeight weight = linear_weight(plain, Arithmetic::int8_blocks);
      weight.decode_codes = decode_codes;
      weight.block = block;
      const Rows x(WeightType::f32, x_rows, columns);
      for (const bool minimums : {false, true}) {
        weight.offset = minimums ? 0 : 128;
        weight.minimums = minimums;
        expect_the_bits_of_vectors(weight, x);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(TileProducts, OfFloat32AreThoseOfVectors) {
  const PlainWeight plain(33, 160, 32, 255);
  LinearWeight weight = linear_weight(plain, Arithmetic::float32);
  weight.decode_floats = decode_float32;
  expect_the_bits_of_vectors(weight, Rows(WeightType::f32, 20, plain.columns));
}

// x of numbers that need no rounding; `scale_of` gives a number of the weight its scale.
template <typename ScaleOf>
void expect_the_sums(const LinearWeight& weight, const PlainWeight& plain, const Rows& x,
                     ScaleOf&& scale_of) {
  for (const Variant& variant : tile_variants()) {
    const std::vector<float> y = product(variant.stages, weight, x);
    for (uint64_t i = 0; i < x.count; ++i) {
      for (uint64_t row = 0; row < plain.rows; ++row) {
        double sum = 0, magnitude = 0;
        for (uint64_t column = 0; column < plain.columns; ++column) {
          const double term = static_cast<double>(x.numbers[i * x.columns + column]) *
                              plain.numbers[row * plain.columns + column] * scale_of(row, column);
          sum += term;
          magnitude += std::abs(term);
        }
        const double terms = static_cast<double>(plain.columns + 8);
        const double rounding = x.type == WeightType::bf16 ? 0x1p-8 : 0;
        ASSERT_NEAR(y[i * plain.rows + row], sum,
                    terms * 0x1p-24 * magnitude + rounding * std::abs(sum))
            << variant.name << ", " << plain.rows << " x " << plain.columns << ", " << x.count
            << " rows: " << i << ", " << row;
      }
    }
  }
}

TEST_F(TileProducts, OfBFloat16AreTheSums) {
  for (const auto& [rows, columns, x_rows] : kShapes) {
    const PlainWeight plain(rows, columns, columns, 0);
    LinearWeight weight = linear_weight(plain, Arithmetic::bfloat16);
    const Rows x(WeightType::bf16, x_rows, columns);
    weight.decode_floats = decode_bfloat16;
    expect_the_sums(weight, plain, x, [](uint64_t, uint64_t) { return 1.0; });
    weight.decode_rows = decode_bfloat16_rows;
    weight.row_scales = plain.scales.data();
    expect_the_sums(weight, plain, x, [&](uint64_t row, uint64_t) { return plain.scales[row]; });
    if (HasFatalFailure()) return;
  }
}

// Integers of a few bits stand for themselves in float8 once the largest of each group, 448, makes
// its scale 1.
Rows float8_rows(uint64_t count, uint64_t columns, uint64_t group) {
  Rows x(WeightType::f32, count, columns);
  for (uint64_t i = 0; i < x.numbers.size(); ++i) {
    const bool first = i % columns % group == 0;
    x.numbers[i] = first ? 448.0f : static_cast<float>(static_cast<int>(i * 7 % 17) - 8);
  }
  std::memcpy(x.stored.data(), x.numbers.data(), x.stored.size());
  return x;
}

TEST_F(TileProducts, OfGroupsOfBFloat16AreTheSums) {
  for (const auto& [rows, columns, x_rows] : kShapes) {
    for (const uint32_t group : {128u, 256u, 1024u}) {
      const PlainWeight plain(rows, columns, group, 0);
      ActivationRounding rounding{ActivationRule::float8};
      rounding.group = group;
      LinearWeight weight = linear_weight(plain, Arithmetic::bfloat16_groups);
      weight.decode_groups = decode_groups;
      weight.group = group;
      weight.rounding = &rounding;
      expect_the_sums(weight, plain, float8_rows(x_rows, columns, group),
                      [&](uint64_t row, uint64_t column) {
                        return *plain.of_block(plain.scales, row, column);
                      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(TileProducts, KeepANaNInItsRow) {
  const PlainWeight plain(40, 160, 32, 255);
  LinearWeight floats = linear_weight(plain, Arithmetic::bfloat16);
  floats.decode_floats = decode_bfloat16;
  LinearWeight blocks = linear_weight(plain, Arithmetic::int8_blocks);
  blocks.decode_codes = decode_codes;
  for (const LinearWeight& weight : {floats, blocks}) {
    const Rows x(WeightType::bf16, 20, plain.columns);
    const Rows spoilt(WeightType::bf16, 20, plain.columns, std::numeric_limits<float>::quiet_NaN());
    for (const Variant& variant : tile_variants()) {
      const std::vector<float> clean = product(variant.stages, weight, x);
      const std::vector<float> y = product(variant.stages, weight, spoilt);
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_TRUE(i / plain.rows == 1 ? std::isnan(y[i]) : y[i] == clean[i])
            << variant.name << ", element " << i;
    }
  }
}

}  // namespace
}  // namespace precis::kernels
