// Products with quantized weights, held against a sum in float64 over the decoded weight.
#pragma once

#include <cstddef>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/abi/linear.h"
#include "core/abi/views.h"

namespace precis {

// How a method's product treats activations, and with that how far it may be off.
enum class Sums {
  floats,  // activations as they are
  // Where the host allows it, blocks of 32 as integers of 8 bits: off by at most 1/254 of the
  // block's largest; else as they are.
  int8_blocks,
  int8_rows,      // LLM.int8(): off by at most 1/254 of the row's largest, and float16's roundoff
  dynamic_int8,   // integers by row or neighbours, with or without a zero point, steps in x's dtype
  dynamic_float8  // float8 e4m3fn with a scale of the row or of neighbours: 4 significant bits
};

// A config of a method and the shapes [out_features, in_features] its products are tried with.
struct ProductCase {
  std::string spec;
  std::vector<std::pair<int64_t, int64_t>> shapes;
  Sums sums = Sums::floats;
};
inline void PrintTo(const ProductCase& test, std::ostream* out) {
  *out << test.spec;
}

double unit_roundoff(DType dtype);
std::vector<float> normal_numbers(std::size_t count, unsigned seed, float deviation);
std::vector<std::byte> stored_numbers(DType dtype, const std::vector<float>& values);

// A quantized weight with its stored parts, as a checkpoint or the quantizer itself gives them.
struct StoredWeight {
  std::shared_ptr<const Quantizer> quantizer;
  Param param;
  std::vector<PartSpec> specs;
  std::vector<std::vector<std::byte>> memory;

  std::size_t rows() const { return static_cast<std::size_t>(param.shape[0]); }
  std::size_t columns() const { return static_cast<std::size_t>(param.shape[1]); }
  std::vector<std::span<const std::byte>> parts() const { return {memory.begin(), memory.end()}; }
  std::vector<float> decoded() const;
};

// Normal numbers, quantized by the plugin.
StoredWeight quantized_weight(const std::string& spec, int64_t rows, int64_t columns,
                              DType dtype = DType::f32);

// Rows of x, y or a bias with `gap` elements between them.
struct Rows {
  DType dtype;
  std::size_t count, columns, stride;
  std::vector<std::byte> memory;

  Rows(DType type, std::size_t rows, std::size_t width, std::size_t gap = 0);
  Rows(DType type, std::size_t rows, std::size_t width, const std::vector<float>& values,
       std::size_t gap = 0);
  std::vector<float> row(std::size_t index) const;
};

// Prepared once, used for any number of rows up to the planned.
class Product {
 public:
  Product(const StoredWeight& weight, DType activation, int64_t max_rows, bool may_round = true);
  Status forward(Rows& x, Rows* bias, Rows& y) const;

 private:
  std::span<std::byte> workspace() const;

  std::unique_ptr<AbiTensors> tensors_, packed_;
  std::vector<std::vector<std::byte>> packed_memory_;
  mutable std::vector<std::byte> workspace_;
  std::unique_ptr<Linear> linear_;
};

// Bounds. With mag = sum |x||w| + |bias|, u the unit roundoff of the activations' dtype, and K
// terms: K 2^-24 mag + u |y|, and twice its u mag more for each 16-bit dtype that decoded weights
// are rounded to: that of the original weight, bfloat16 of activations. Sums says what is added.
void expect_product(const StoredWeight& weight, Sums sums, DType activation, std::size_t batch,
                    bool with_bias, bool may_round = true);

}  // namespace precis
