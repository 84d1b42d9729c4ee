// The searches for scales that GGUF's encoders share, bit for bit as kernels/cpu/gguf's without an
// importance matrix: float32, in exactly this order of operations.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGgufThreads = 256;
inline constexpr float kNoScale = 1e-15f;  // the largest magnitude of a block that counts as zeros

PRECIS_FUNCTION float magnitude_of(float value) {
  return bits_as<float>(bits_as<uint32_t>(value) & 0x7fffffffu);
}
// ggml's nearest_int: ties to even, for |value| up to 4194303.
PRECIS_FUNCTION int nearest_int(float value) {
  return static_cast<int>(bits_as<uint32_t>(value + 12582912.0f) & 0x007fffffu) - 0x00400000;
}
PRECIS_FUNCTION int clamp_int(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

// A sub-block as scale * code - minimum, and what its codes were rounded with.
struct SubBlockFit {
  float scale, minimum;
  float inverse_scale, origin;  // code = (x - origin) * inverse_scale; 0: all codes are 0

  template <int Top>
  PRECIS_FUNCTION int code(float x) const {
    return inverse_scale == 0 ? 0 : clamp_int(nearest_int(inverse_scale * (x - origin)), 0, Top);
  }
};

// ggml's make_qkx2_quants for codes 0 ... Top; weight(i): how much an error of x[i] counts, which
// is its magnitude where `Absolute` and its square elsewhere.
template <int Top, bool Absolute, int N, class Weight>
PRECIS_FUNCTION SubBlockFit fit_with_minimum(const float (&x)[N], float first, int steps,
                                             Weight weight) {
  float low = x[0], high = x[0], weight_sum = weight(0), x_sum = weight_sum * x[0];
  PRECIS_UNROLL
  for (int i = 1; i < N; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    const float w = weight(i);
    weight_sum += w;
    x_sum += w * x[i];
  }
  if (low > 0) low = 0;
  if (high == low) return {0.0f, -low, 0.0f, 0.0f};
  constexpr float kTop = static_cast<float>(Top);
  SubBlockFit fit{0, low, kTop / (high - low), low};
  fit.scale = 1.0f / fit.inverse_scale;
  const auto code_of = [&](float value, float inverse_scale, float origin) {
    return static_cast<float>(clamp_int(nearest_int(inverse_scale * (value - origin)), 0, Top));
  };
  const auto error_of = [&](float inverse_scale, float origin, float scale, float minimum) {
    float error = 0;
    PRECIS_UNROLL
    for (int i = 0; i < N; ++i) {
      const float difference = scale * code_of(x[i], inverse_scale, origin) + minimum - x[i];
      error += weight(i) * (Absolute ? magnitude_of(difference) : difference * difference);
    }
    return error;
  };
  float least_error = error_of(fit.inverse_scale, low, fit.scale, low);
  for (int step = 0; step <= steps; ++step) {
    const float origin = fit.minimum;
    const float inverse_scale = (first + 0.1f * static_cast<float>(step) + kTop) / (high - origin);
    float code_sum = 0, code_square_sum = 0, x_code_sum = 0;
    PRECIS_UNROLL
    for (int i = 0; i < N; ++i) {
      const float code = code_of(x[i], inverse_scale, origin), w = weight(i);
      code_sum += w * code;
      code_square_sum += w * code * code;
      x_code_sum += w * code * x[i];
    }
    const float determinant = weight_sum * code_square_sum - code_sum * code_sum;
    if (!(determinant > 0)) continue;
    float scale = (weight_sum * x_code_sum - x_sum * code_sum) / determinant;
    float minimum = (code_square_sum * x_sum - code_sum * x_code_sum) / determinant;
    if (minimum > 0) {
      minimum = 0;
      scale = x_code_sum / code_square_sum;
    }
    const float error = error_of(inverse_scale, origin, scale, minimum);
    if (error < least_error) {
      least_error = error;
      fit = {scale, minimum, inverse_scale, origin};
    }
  }
  fit.minimum = -fit.minimum;
  return fit;
}

// Q4_K's (Top 15) and Q5_K's (31).
template <int Top>
PRECIS_FUNCTION SubBlockFit fit_sub_block(const float (&x)[32]) {
  float square_sum = 0;
  PRECIS_UNROLL
  for (int i = 0; i < 32; ++i) square_sum += x[i] * x[i];
  const float root_mean_square = square_root(square_sum / 32.0f);
  return fit_with_minimum<Top, false>(x, Top == 15 ? -1.0f : -0.5f, Top == 15 ? 20 : 15,
                                      [&](int i) { return root_mean_square + magnitude_of(x[i]); });
}

// The value of largest magnitude, the first of equals.
template <int N>
PRECIS_FUNCTION float signed_largest(const float (&x)[N]) {
  float magnitude = 0, value = 0;
  PRECIS_UNROLL
  for (int i = 0; i < N; ++i) {
    const bool larger = magnitude_of(x[i]) > magnitude;
    magnitude = larger ? magnitude_of(x[i]) : magnitude;
    value = larger ? x[i] : value;
  }
  return value;
}
// The same over neighbouring lanes, known to all of them.
template <uint32_t Lanes>
PRECIS_FUNCTION float signed_largest_of_lanes(float value) {
  float magnitude = magnitude_of(value) > 0 ? magnitude_of(value) : 0.0f;
  value = magnitude > 0 ? value : 0.0f;
  uint32_t place = threadIdx.x % Lanes;
  PRECIS_UNROLL
  for (int step = static_cast<int>(Lanes) / 2; step > 0; step /= 2) {
    const float other = shuffle_xor(value, step), others = magnitude_of(other);
    const uint32_t others_place = shuffle_xor(place, step);
    const bool takes = others > magnitude || (others == magnitude && others_place < place);
    magnitude = takes ? others : magnitude;
    value = takes ? other : value;
    place = takes ? others_place : place;
  }
  return value;
}

// The largest over neighbouring lanes, at least 0.
template <uint32_t Lanes>
PRECIS_FUNCTION float largest_of_lanes(float value) {
  value = value > 0 ? value : 0.0f;
  PRECIS_UNROLL
  for (int step = static_cast<int>(Lanes) / 2; step > 0; step /= 2) {
    const float other = shuffle_xor(value, step);
    value = other > value ? other : value;
  }
  return value;
}

// One code of 6 bits for a scale or a minimum.
PRECIS_FUNCTION uint32_t six_bit_code(float value, float largest) {
  const float inverse_scale = largest > 0 ? 63.0f / largest : 0.0f;
  return static_cast<uint32_t>(clamp_int(nearest_int(inverse_scale * value), -255, 63)) & 0xffu;
}

// ggml's make_qx_quants with x squared as weights: codes -Half ... Half - 1.
struct SymmetricFit {
  float scale, inverse_scale;  // 0: all codes are -Half
};
template <int Half, int N>
PRECIS_FUNCTION SymmetricFit fit_symmetric(const float (&x)[N]) {
  const float largest = signed_largest(x);
  if (magnitude_of(largest) < kNoScale) return {0, 0};
  float x_code_sum = 0, code_square_sum = 0;
  const auto add_up = [&](float inverse_scale) {
    x_code_sum = code_square_sum = 0;
    PRECIS_UNROLL
    for (int i = 0; i < N; ++i) {
      const float code =
          static_cast<float>(clamp_int(nearest_int(inverse_scale * x[i]), -Half, Half - 1));
      const float w = x[i] * x[i];
      x_code_sum += w * x[i] * code;
      code_square_sum += w * code * code;
    }
  };
  SymmetricFit fit{0, -static_cast<float>(Half) / largest};
  add_up(fit.inverse_scale);
  fit.scale = code_square_sum != 0 ? x_code_sum / code_square_sum : 0.0f;
  float best = fit.scale * x_code_sum;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const float inverse_scale =
        -(static_cast<float>(Half) + 0.1f * static_cast<float>(step)) / largest;
    add_up(inverse_scale);
    if (code_square_sum > 0 && x_code_sum * x_code_sum > best * code_square_sum) {
      fit = {x_code_sum / code_square_sum, inverse_scale};
      best = fit.scale * x_code_sum;
    }
  }
  return fit;
}

}  // namespace precis::kernels::PRECIS_DEVICE
