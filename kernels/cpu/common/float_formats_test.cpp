#include "kernels/cpu/common/float_formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/common/float8.h"

namespace precis::kernels {
namespace {

// Finds the nearest of all finite codes by search: an oracle that shares nothing with the
// conversion.
template <typename Decode>
double nearest(float value, int codes, Decode decode) {
  double best = std::numeric_limits<double>::infinity();
  for (int code = 0; code < codes; ++code) {
    const double candidate = decode(code);
    if (std::isfinite(candidate))
      best = std::min(best, std::fabs(candidate - static_cast<double>(value)));
  }
  return best;
}

TEST(Half, EveryCodeSurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const float value = half_to_float(static_cast<uint16_t>(code));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    } else {
      ASSERT_EQ(float_to_half(value), code);
    }
  }
}

TEST(Half, RoundsTiesToEven) {
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);
  EXPECT_EQ(float_to_half(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(float_to_half(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
}

TEST(BFloat16, EveryCodeSurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const float value = bfloat16_to_float(static_cast<uint16_t>(code));
    if (!std::isnan(value)) {
      ASSERT_EQ(float_to_bfloat16(value), code);
    }
  }
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::quiet_NaN()), 0x7fc0);
}

TEST(Float8, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    if (!std::isnan(float8_e4m3fn_to_float(byte))) {
      EXPECT_EQ(float_to_float8_e4m3fn(float8_e4m3fn_to_float(byte)), byte);
    }
    if (!std::isnan(float8_e5m2_to_float(byte))) {
      EXPECT_EQ(float_to_float8_e5m2(float8_e5m2_to_float(byte)), byte);
    }
  }
}

TEST(Float8, ConvertsToTheNearestValue) {
  const auto decode_e4m3 = [](int code) {
    return float8_e4m3fn_to_float(static_cast<uint8_t>(code));
  };
  const auto decode_e5m2 = [](int code) {
    return float8_e5m2_to_float(static_cast<uint8_t>(code));
  };
  for (float value = 1e-6f; value < 440; value *= 1.0137f) {
    for (const float signed_value : {value, -value}) {
      const float e4m3 = float8_e4m3fn_to_float(float_to_float8_e4m3fn(signed_value));
      ASSERT_EQ(std::fabs(static_cast<double>(e4m3) - signed_value),
                nearest(signed_value, 256, decode_e4m3));
      const float e5m2 = float8_e5m2_to_float(float_to_float8_e5m2(signed_value));
      ASSERT_EQ(std::fabs(static_cast<double>(e5m2) - signed_value),
                nearest(signed_value, 256, decode_e5m2));
    }
  }
}

TEST(Float8, OverflowAndTiesAreTorchs) {
  EXPECT_EQ(float_to_float8_e4m3fn(448.0f), 0x7e);
  EXPECT_EQ(float_to_float8_e4m3fn(464.0f), 0x7e);
  EXPECT_EQ(float_to_float8_e4m3fn(465.0f), 0x7f);
  EXPECT_EQ(float_to_float8_e4m3fn(-1000.0f), 0xff);
  EXPECT_EQ(float_to_float8_e5m2(57344.0f), 0x7b);
  EXPECT_EQ(float_to_float8_e5m2(61440.0f), 0x7c);
  EXPECT_EQ(float_to_float8_e4m3fn(1.0625f), 0x38);  // halfway between 1 and 1.125
}

}  // namespace
}  // namespace precis::kernels
