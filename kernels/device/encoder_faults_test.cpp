// The test of the tests: what encoders make of a weight that is wrong in one number is found.
#define PRECIS_DEVICE device_simt
#include "kernels/device/eetq.h"
#include "kernels/device/gguf.h"
#include "kernels/device/scaled.h"
#include "kernels/device/ternary.h"

#include <gtest/gtest.h>

#include <functional>

#include "kernels/selftest/reference.h"

namespace precis::kernels::device_simt {
namespace {

// One number of a weight, of the other sign or larger than all: the encoded blocks or parts differ
// in its code, or in its scale.
void expect_found(uint32_t count,
                  const std::function<std::vector<uint8_t>(const std::vector<float>&)>& encoded) {
  Random random(count);
  const std::vector<float> weight = normal_values(random, count);
  const std::vector<uint8_t> right = encoded(weight);
  EXPECT_EQ(compare_equal("bytes", right, encoded(weight)), "");
  for (const uint32_t place : {0u, count / 2 + 5, count - 1}) {
    std::vector<float> wrong = weight;
    wrong[place] = wrong[place] < 0 ? 2 - wrong[place] : -2 - wrong[place];
    EXPECT_NE(compare_equal("bytes", right, encoded(wrong)), "") << "sign at " << place;
    wrong[place] = 100;
    EXPECT_NE(compare_equal("bytes", right, encoded(wrong)), "") << "size at " << place;
  }
}

TEST(EncoderFaults, GgufBlocks) {
  for (uint32_t i = 0; i < gguf_type_count(); ++i) {
    const GgufTypeShape& shape = gguf_type_at(i);
    if (!shape.encodes) continue;
    SCOPED_TRACE(shape.name);
    expect_found(8 * 256, [&](const std::vector<float>& weight) {
      std::vector<uint8_t> blocks(weight.size() / shape.block_elements * shape.block_bytes);
      const char* error =
          quantize_gguf(shape.type, WeightType::f32, weight.data(), 8, 256, blocks.data(), nullptr);
      if (error != nullptr) throw std::runtime_error(error);
      return blocks;
    });
  }
}

TEST(EncoderFaults, ScaledNumbers) {
  for (const NarrowType type : {NarrowType::packed_int, NarrowType::float8_e4m3fn,
                                NarrowType::float6_e2m3, NarrowType::float4_e2m1}) {
    SCOPED_TRACE(static_cast<int>(type));
    expect_found(8 * 256, [&](const std::vector<float>& weight) {
      ScaledEncoding encoding{{type, 4, false, 256}, {1, 32, 8}};
      encoding.bits = 4;
      if (type == NarrowType::float6_e2m3) encoding.scale_rule = ScaleRule::exponent;
      const uint64_t code_bytes = 8 * encoding.rows.row_bytes();
      std::vector<uint8_t> parts(code_bytes + 64 * sizeof(float));
      const char* error =
          quantize_scaled(WeightType::f32, weight.data(), 8, encoding, {},
                          {parts.data(), parts.data() + code_bytes, nullptr}, nullptr);
      if (error != nullptr) throw std::runtime_error(error);
      return parts;
    });
  }
}

TEST(EncoderFaults, Eetq) {
  expect_found(64 * 64, [](const std::vector<float>& weight) {
    std::vector<uint8_t> parts(64 * 64 + 64 * sizeof(uint16_t));
    const char* error = quantize_eetq(WeightType::f32, weight.data(), 64, 64, parts.data(),
                                      reinterpret_cast<uint16_t*>(parts.data() + 64 * 64), nullptr);
    if (error != nullptr) throw std::runtime_error(error);
    return parts;
  });
}

TEST(EncoderFaults, Ternary) {
  expect_found(64 * 64, [](const std::vector<float>& weight) {
    std::vector<uint8_t> parts(64 * 64 / 4 + sizeof(float));
    std::vector<double> sums(64);
    const char* error = quantize_ternary(WeightType::f32, weight.data(), 64, 64, true, sums.data(),
                                         parts.data(), parts.data() + 64 * 64 / 4, nullptr);
    if (error != nullptr) throw std::runtime_error(error);
    return parts;
  });
}

}  // namespace
}  // namespace precis::kernels::device_simt
