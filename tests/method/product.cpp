#include "tests/method/product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/engine/logical_tensor.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

// A row of activations, and how far each of them may be off.
struct Activations {
  std::vector<float> values;
  std::vector<double> errors;

  Activations(Sums sums, std::vector<float> x) : values(std::move(x)), errors(values.size()) {
    const std::size_t block = sums == Sums::int8_blocks ? 32 : values.size();
    for (std::size_t first = 0; first < values.size(); first += block) {
      const std::size_t end = std::min(values.size(), first + block);
      float largest = 0;
      for (std::size_t i = first; i < end; ++i) largest = std::max(largest, std::abs(values[i]));
      for (std::size_t i = first; i < end && sums != Sums::floats; ++i) {
        const double magnitude = std::abs(values[i]);
        if (sums == Sums::dynamic_float8) {
          // Half a unit of four bits, or of what lies below the smallest normal number; and steps
          // in the dtype of x.
          errors[i] = magnitude * (0x1p-4 + 0x1p-7) + largest * 0x1p-18 + 1e-36;
          continue;
        }
        if (sums == Sums::dynamic_int8) {
          errors[i] = largest / 126.0 + magnitude * 0x1p-7 + 1e-36;
          continue;
        }
        const double half = sums == Sums::int8_rows ? 0x1p-10 : 0;
        errors[i] = largest / 253.0 + magnitude * half + 1e-36;
      }
    }
  }
};

// The sum in float64 and how far a product may be from it.
struct Expected {
  double value, bound;
};

Expected expected(Sums sums, DType activation, DType stored_as, const Activations& x,
                  std::span<const float> weight, float bias) {
  double value = bias, magnitude = std::abs(bias), error = 0, sum = 0;
  float largest = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double w = weight[i], product = x.values[i] * w;
    value += product;
    magnitude += std::abs(product);
    error += x.errors[i] * std::abs(w);
    sum += std::abs(x.values[i]);
    largest = std::max(largest, std::abs(weight[i]));
  }
  // Codes are summed above an offset, which is taken off again.
  if (sums != Sums::floats) error += 0x1p-19 * sum * largest;
  const double unit = unit_roundoff(activation);
  double weights = activation == DType::bf16 ? 2 * unit * magnitude : 0;
  if (stored_as != DType::f32) weights += 2 * unit_roundoff(stored_as) * magnitude;
  return {value, error + weights + static_cast<double>(weight.size() + 8) * 0x1p-24 * magnitude +
                     unit * std::abs(value) * 1.01 + 1e-37};
}

std::unique_ptr<AbiTensor> tensor(const Rows& rows) {
  const int64_t shape[] = {static_cast<int64_t>(rows.count), static_cast<int64_t>(rows.columns)};
  auto made = std::make_unique<AbiTensor>(rows.memory.data(), rows.memory.size(), rows.dtype, shape,
                                          "", false);
  made->get()->view.strides[0] = static_cast<int64_t>(rows.stride);
  return made;
}

void expect_gaps_untouched(const Rows& y) {
  const std::vector<float> memory = as_floats(y.dtype, y.memory);
  for (std::size_t i = 0; i < y.count; ++i) {
    for (std::size_t j = y.columns; j < y.stride; ++j)
      ASSERT_EQ(memory[i * y.stride + j], -77.0f) << "between the rows of y";
  }
}

}  // namespace

double unit_roundoff(DType dtype) {
  return dtype == DType::f32 ? 0x1p-24 : dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
}

std::vector<float> normal_numbers(std::size_t count, unsigned seed, float deviation) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

std::vector<std::byte> stored_numbers(DType dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * dtype_bits(dtype) / 8);
  EXPECT_TRUE(convert_from_float(values.data(), values.size(), dtype, bytes.data()));
  return bytes;
}

std::vector<float> StoredWeight::decoded() const {
  std::vector<float> values(param.elements());
  const Status status = quantizer->dequantize(param, specs, parts(), 0, param.rows(), DType::f32,
                                              std::as_writable_bytes(std::span(values)));
  EXPECT_TRUE(status.ok()) << status.error().text();
  return values;
}

StoredWeight quantized_weight(const std::string& spec, int64_t rows, int64_t columns, DType dtype) {
  StoredWeight weight;
  auto quantizer = test_resolver(false).from_spec(spec, "");
  EXPECT_TRUE(quantizer.ok()) << quantizer.error().text();
  weight.quantizer = *quantizer;
  weight.param.name = "layer.weight";
  weight.param.module_kind = "Linear";
  weight.param.dtype = dtype;
  weight.param.shape = {rows, columns};
  auto plan = weight.quantizer->plan(weight.param);
  EXPECT_TRUE(plan.ok()) << plan.error().text();
  weight.specs = plan->parts;
  std::vector<std::span<std::byte>> parts;
  for (const PartSpec& part : plan->parts) weight.memory.emplace_back(part.nbytes);
  for (auto& part : weight.memory) parts.emplace_back(part);
  std::vector<std::byte> workspace(plan->workspace_bytes);
  const auto values = stored_numbers(dtype, normal_numbers(weight.param.elements(), 7, 0.05f));
  const Status status =
      weight.quantizer->quantize(weight.param, values, plan->parts, parts, workspace, nullptr);
  EXPECT_TRUE(status.ok()) << status.error().text();
  return weight;
}

Rows::Rows(DType type, std::size_t rows, std::size_t width, std::size_t gap)
    : dtype(type), count(rows), columns(width), stride(width + gap) {
  memory = stored_numbers(type, std::vector<float>(rows * stride, -77.0f));
}

Rows::Rows(DType type, std::size_t rows, std::size_t width, const std::vector<float>& values,
           std::size_t gap)
    : Rows(type, rows, width, gap) {
  const auto bytes = stored_numbers(type, values);
  const std::size_t item = dtype_bits(type) / 8, row_bytes = width * item;
  for (std::size_t row = 0; row < rows; ++row) {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(row * row_bytes), row_bytes,
                memory.begin() + static_cast<std::ptrdiff_t>(row * stride * item));
  }
}

std::vector<float> Rows::row(std::size_t index) const {
  const std::size_t bytes = dtype_bits(dtype) / 8;
  return as_floats(dtype, std::span(memory).subspan(index * stride * bytes, columns * bytes));
}

Product::Product(const StoredWeight& weight, DType activation, int64_t max_rows, bool may_round) {
  const LinearOptions options{kCpuDevice, activation, max_rows, may_round};
  auto plan = Linear::plan(*weight.quantizer, options, weight.param);
  EXPECT_TRUE(plan.ok()) << plan.error().text();
  EXPECT_TRUE(plan->keeps_parts);
  std::vector<std::span<std::byte>> packed;
  for (const PartSpec& part : plan->packed)
    packed.emplace_back(packed_memory_.emplace_back(part.nbytes, std::byte{0xff}));
  packed_ = std::make_unique<AbiTensors>(plan->packed, packed);
  workspace_.resize(plan->workspace_bytes + 64, std::byte{0xff});  // NaNs, should it be read
  const auto parts = weight.parts();
  tensors_ = std::make_unique<AbiTensors>(weight.specs, parts);
  auto linear = Linear::prepare(weight.quantizer, options, weight.param,
                                std::span(tensors_->const_pointers(), tensors_->count()),
                                std::span(packed_->pointers(), packed_->count()), workspace());
  EXPECT_TRUE(linear.ok()) << linear.error().text();
  linear_ = std::move(*linear);
}

Status Product::forward(Rows& x, Rows* bias, Rows& y) const {
  const auto abi_x = tensor(x), abi_y = tensor(y);
  if (bias == nullptr) return linear_->forward(*abi_x->get(), nullptr, *abi_y->get(), workspace());
  const int64_t features[] = {static_cast<int64_t>(bias->columns)};
  AbiTensor abi_bias(bias->memory.data(), bias->memory.size(), bias->dtype, features, "", true);
  return linear_->forward(*abi_x->get(), abi_bias.get(), *abi_y->get(), workspace());
}

std::span<std::byte> Product::workspace() const {
  const auto address = reinterpret_cast<uintptr_t>(workspace_.data());
  return std::span(workspace_).subspan((64 - address % 64) % 64, workspace_.size() - 64);
}

void expect_product(const StoredWeight& weight, Sums sums, DType activation, std::size_t batch,
                    bool with_bias, bool may_round) {
  if (sums == Sums::int8_blocks && !may_round) sums = Sums::floats;
  const std::size_t rows = weight.rows(), columns = weight.columns();
  const std::vector<float> decoded = weight.decoded();
  Rows x(activation, batch, columns, normal_numbers(batch * columns, 11, 1.0f), 5);
  Rows bias(activation, 1, rows, normal_numbers(rows, 13, 0.5f));
  Rows y(activation, batch, rows, 3);
  const Product product(weight, activation, static_cast<int64_t>(batch), may_round);
  const Status status = product.forward(x, with_bias ? &bias : nullptr, y);
  ASSERT_TRUE(status.ok()) << status.error().text();
  const std::vector<float> bias_values = bias.row(0);
  for (std::size_t i = 0; i < batch; ++i) {
    const Activations in(sums, x.row(i));
    const std::vector<float> out = y.row(i);
    for (std::size_t j = 0; j < rows; ++j) {
      const Expected want = expected(sums, activation, weight.param.dtype, in,
                                     std::span(decoded).subspan(j * columns, columns),
                                     with_bias ? bias_values[j] : 0.0f);
      ASSERT_NEAR(out[j], want.value, want.bound)
          << dtype_name(activation) << " batch " << batch << " [" << i << ", " << j << "] of "
          << rows << " x " << columns;
    }
  }
  expect_gaps_untouched(y);
}

}  // namespace precis
