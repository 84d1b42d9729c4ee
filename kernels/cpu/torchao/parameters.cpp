#include <algorithm>
#include <cmath>

#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {
namespace {

float rounded(WeightType type, float value) {
  float result = value;
  with_type(type, [&](auto tag) { result = decltype(tag)::round(value); });
  return result;
}

}  // namespace

float smallest_normal(WeightType type) {
  return type == WeightType::f16 ? 0x1p-14f : 0x1p-126f;
}

AoParameters ao_parameters(AoMapping mapping, WeightType type, AoCodeRange range, float smallest,
                           float low, float high) {
  const auto steps = static_cast<float>(range.high - range.low);
  const auto at_least = [&](float scale) { return scale < smallest ? smallest : scale; };
  if (mapping == AoMapping::asymmetric) {
    const float scale = at_least(rounded(type, rounded(type, high - low) / steps));
    const float zero = static_cast<float>(range.low) - std::nearbyint(rounded(type, low / scale));
    const float bounded = std::clamp(zero == zero ? zero : 0.0f, static_cast<float>(range.low),
                                     static_cast<float>(range.high));
    return {scale, static_cast<int8_t>(bounded)};
  }
  if (mapping == AoMapping::symmetric_no_clipping_error) {
    const float below = rounded(type, low / static_cast<float>(range.low));
    const float above = rounded(type, high / static_cast<float>(range.high));
    return {at_least(below > above ? below : above), 0};
  }
  const float largest = -low > high || low != low ? -low : high;
  return {at_least(rounded(type, largest / (steps / 2))), 0};
}

float ao_float8_scale(WeightType type, AoCodes format, float low, float high) {
  const float largest = -low > high || low != low ? -low : high;
  return rounded(type, largest / (format == AoCodes::float8_e4m3fn ? 448.0f : 57344.0f));
}

}  // namespace precis::kernels
