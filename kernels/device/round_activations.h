// Activations as the numbers of their codes: one block of threads for each row. Bound by memory: a
// row is read once from it and otherwise from cache.
#pragma once

#include "kernels/cpu/activations/activations.h"
#include "kernels/device/float8_numbers.h"
#include "kernels/device/row_threads.h"

namespace precis::kernels::PRECIS_DEVICE {

struct RoundedActivationRule {
  ActivationRule rule;
  uint32_t group;  // neighbours that share a scale
  bool symmetric;
  float low, high, divisor;
};

PRECIS_FUNCTION float clamped(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

// The largest of each thread's two numbers, none below zero, known to the whole block.
struct Largest {
  float positive, negative;
};
PRECIS_FUNCTION Largest largest_of_block(Largest found) {
  Largest all;
  all.positive = bits_as<float>(row_max(bits_as<uint32_t>(found.positive)));
  __syncthreads();
  all.negative = bits_as<float>(row_max(bits_as<uint32_t>(found.negative)));
  __syncthreads();
  return all;
}

template <class Element>
PRECIS_FUNCTION float rounded(float value) {
  return to_float(from_float<Element>(value));
}

// finfo's eps and smallest normal number of Element.
template <class Element>
inline constexpr float kEpsilon = std::is_same_v<Element, Half> ? 0x1p-10f : 0x1p-7f;
template <class Element>
inline constexpr float kSmallest = std::is_same_v<Element, Half> ? 0x1p-14f : 0x1p-126f;

// How the numbers of a group are rounded; kernels/cpu/activations/rules.h has the steps.
struct GroupRounding {
  float scale, zero, inverse;
};
template <class Element>
PRECIS_FUNCTION GroupRounding rounding_of_group(const RoundedActivationRule& rule, Largest range) {
  const float largest = range.positive > range.negative ? range.positive : range.negative;
  if (rule.rule == ActivationRule::compressed_float8) {
    const float scale = rounded<Element>(largest / 448.0f);
    return {scale == 0 ? kEpsilon<Element> : scale, 0.0f, 0.0f};
  }
  const bool torchao = rule.rule == ActivationRule::torchao_fake_integer;
  float scale = rule.symmetric
                    ? rounded<Element>(largest / rule.divisor)
                    : rounded<Element>(rounded<Element>(range.positive + range.negative) /
                                       (rule.high - rule.low));
  if (torchao)
    scale = scale > kSmallest<Element> ? scale : kSmallest<Element>;
  else
    scale = scale == 0 ? kEpsilon<Element> : scale;
  const float inverse = rounded<Element>(1.0f / scale);
  if (rule.symmetric) return {scale, 0.0f, inverse};
  const float quotient = rounded<Element>(-range.negative / scale);
  const float whole = torchao ? round_to_even(clamped(quotient, -65536.0f, 65536.0f)) : quotient;
  const float zero = rounded<Element>(rule.low - whole);
  return {scale, round_to_even(clamped(zero, rule.low, rule.high)), inverse};
}

template <class Element>
PRECIS_FUNCTION float rounded_number(const RoundedActivationRule& rule, const GroupRounding& group,
                                     float value) {
  if (rule.rule == ActivationRule::compressed_float8) {
    const float quotient = clamped(rounded<Element>(value / group.scale), -448.0f, 448.0f);
    constexpr Float8Encoder kEncoder = kE4M3FNEncoder;  // device code takes no address of a global
    return e4m3fn_value(float8_code(kEncoder, quotient)) * group.scale;
  }
  if (rule.rule == ActivationRule::torchao_fake_integer) {
    const float nearest =
        round_to_even(clamped(rounded<Element>(value * group.inverse), -65536.0f, 65536.0f));
    const float code = clamped(rounded<Element>(nearest + group.zero), rule.low, rule.high);
    return rounded<Element>(code - group.zero) * group.scale;
  }
  const float moved = rounded<Element>(rounded<Element>(value / group.scale) + group.zero);
  const float code = round_to_even(clamped(moved, rule.low, rule.high));
  return rounded<Element>(code - group.zero) * group.scale;
}

// x, out: [gridDim.x][columns]. A row with an infinity or a NaN is NaN as a whole.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    round_activations_kernel(const Element* x, uint32_t columns,
                             PRECIS_PARAMETER RoundedActivationRule rule, Element* out) {
  const Element* row = x + uint64_t{blockIdx.x} * columns;
  Element* to = out + uint64_t{blockIdx.x} * columns;
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(row[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  const bool finite = row_max(best) < 0x7f800000u;
  __syncthreads();
  for (uint32_t begin = 0; begin < columns; begin += rule.group) {
    const uint32_t end = columns - begin < rule.group ? columns : begin + rule.group;
    Largest found{0.0f, 0.0f};
    for (uint32_t i = begin + threadIdx.x; i < end && finite; i += kQuantizeRowThreads) {
      const float value = to_float(row[i]);
      found.positive = value > found.positive ? value : found.positive;
      found.negative = -value > found.negative ? -value : found.negative;
    }
    const GroupRounding group = rounding_of_group<Element>(rule, largest_of_block(found));
    for (uint32_t i = begin + threadIdx.x; i < end; i += kQuantizeRowThreads)
      to[i] = from_float<Element>(finite ? rounded_number<Element>(rule, group, to_float(row[i]))
                                         : bits_as<float>(0x7fc00000u));
  }
}

template <class Element>
const char* launch_round_activations(const Element* x, uint32_t m, uint32_t columns,
                                     const RoundedActivationRule& rule, Element* out,
                                     void* stream) {
  if (m == 0 || columns == 0) return nullptr;
  return PRECIS_LAUNCH((round_activations_kernel<Element>), dim3(m), dim3(kQuantizeRowThreads), 0,
                       stream, x, columns, rule, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
