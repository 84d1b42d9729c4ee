// Compiled once for each instruction set.
#include <cmath>

#include "kernels/cpu/hqq/code.h"
#include "kernels/cpu/hqq/hqq.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kStrip = 64;  // elements at once

// Minimum and maximum as torch has them: a NaN wins.
struct Range {
  float low, high;
  void add(float value) {
    low = value < low || value != value ? value : low;
    high = value > high || value != value ? value : high;
  }
};

void start_group(const Range& range, int levels, bool round_zero, float* scale, float* zero) {
  const float extent = range.high - range.low;
  float found = (1.0f / extent) * static_cast<float>(levels);
  if (std::fabs(extent) <= 1e-4f) found = 1.0f;
  if (found > 2e4f) found = 2e4f;
  *scale = found;
  const float offset = -range.low * found;
  *zero = round_zero ? std::nearbyint(offset) : offset;
}

template <typename Type>
void start_of(const typename Type::Stored* weight, const HqqGrid& grid, int levels, bool round_zero,
              uint64_t group_begin, uint64_t group_end, float* scales, float* zeros) {
  const uint64_t count = grid.axis == 1 ? grid.columns : grid.rows;
  const uint64_t step = grid.axis == 1 ? 1 : grid.columns;
  for (uint64_t group = group_begin; group < group_end; ++group) {
    const uint64_t first = grid.axis == 1 ? group * grid.columns : group;
    const float value = Type::load(weight, first);
    Range range{value, value};
    for (uint64_t i = 1; i < count; ++i) range.add(Type::load(weight, first + i * step));
    start_group(range, levels, round_zero, scales + group, zeros + group);
  }
}

void start(WeightType type, const void* weight, const HqqGrid& grid, int levels, bool round_zero,
           uint64_t group_begin, uint64_t group_end, float* scales, float* zeros) {
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    start_of<Type>(static_cast<const typename Type::Stored*>(weight), grid, levels, round_zero,
                   group_begin, group_end, scales, zeros);
  });
}

// relu(|e| - |e|^-0.3 / 10) with e's sign: the proximal operator of the l_0.7 norm.
float shrunk(float error) {
  const float magnitude = std::fabs(error);
  const float left = magnitude - 0.1f * std::pow(magnitude, -0.3f);
  return std::copysign(left < 0.0f ? 0.0f : left, error);
}

// The zero point that each element by itself asks for, and its error with the present one.
// scale, zero: of each element.
template <typename Type>
void refine_strip(const typename Type::Stored* weight, uint64_t count, const float* scale,
                  const float* zero, float levels, float* wanted, float* error) {
  // Below 0.1^(1/1.3) = 0.17013 the operator gives 0: with the errors of real weights, always.
  constexpr float kNothingLeft = 0.17f;
  float codes[kStrip], errors[kStrip];
  int beyond = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const float value = Type::load(weight, i);
    const float code = hqq_code(value, scale[i], zero[i], levels);
    const float difference = value - (code - zero[i]) / scale[i];
    codes[i] = code;
    errors[i] = difference;
    error[i] = std::fabs(difference);
    wanted[i] = code - value * scale[i];
    beyond |= error[i] < kNothingLeft ? 0 : 1;
  }
  if (beyond == 0) return;
  for (uint64_t i = 0; i < count; ++i) {
    if (error[i] < kNothingLeft) continue;
    wanted[i] = codes[i] - (Type::load(weight, i) - shrunk(errors[i])) * scale[i];
  }
}

// Sums in an order that no vectoriser changes.
struct Sum {
  double lanes[8] = {};
  void add(const float* values, uint64_t count) {
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (uint64_t lane = 0; lane < 8; ++lane) lanes[lane] += values[i + lane];
    }
    for (; i < count; ++i) lanes[0] += values[i];
  }
  double total() const {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
};

template <typename Type>
double refine_rows(const typename Type::Stored* weight, const HqqGrid& grid, float levels,
                   uint64_t begin, uint64_t end, const float* scales, float* zeros) {
  Sum errors;
  for (uint64_t row = begin; row < end; ++row) {
    float scale[kStrip], zero[kStrip], wanted[kStrip], error[kStrip];
    std::fill_n(scale, kStrip, scales[row]);
    std::fill_n(zero, kStrip, zeros[row]);
    Sum sum;
    for (uint64_t first = 0; first < grid.columns; first += kStrip) {
      const uint64_t count = std::min(kStrip, grid.columns - first);
      refine_strip<Type>(weight + row * grid.columns + first, count, scale, zero, levels, wanted,
                         error);
      sum.add(wanted, count);
      errors.add(error, count);
    }
    zeros[row] = static_cast<float>(sum.total() / static_cast<double>(grid.columns));
  }
  return errors.total();
}

template <typename Type>
double refine_columns(const typename Type::Stored* weight, const HqqGrid& grid, float levels,
                      uint64_t begin, uint64_t end, const float* scales, float* zeros) {
  Sum errors;
  for (uint64_t first = begin; first < end; first += kStrip) {
    const uint64_t count = std::min(kStrip, end - first);
    double sums[kStrip] = {};
    for (uint64_t row = 0; row < grid.rows; ++row) {
      float wanted[kStrip], error[kStrip];
      refine_strip<Type>(weight + row * grid.columns + first, count, scales + first, zeros + first,
                         levels, wanted, error);
      for (uint64_t i = 0; i < count; ++i) sums[i] += wanted[i];
      errors.add(error, count);
    }
    for (uint64_t i = 0; i < count; ++i)
      zeros[first + i] = static_cast<float>(sums[i] / static_cast<double>(grid.rows));
  }
  return errors.total();
}

double refine(WeightType type, const void* weight, const HqqGrid& grid, int levels,
              uint64_t group_begin, uint64_t group_end, const float* scales, float* zeros) {
  double errors = 0;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    const auto top = static_cast<float>(levels);
    errors = grid.axis == 1
                 ? refine_rows<Type>(values, grid, top, group_begin, group_end, scales, zeros)
                 : refine_columns<Type>(values, grid, top, group_begin, group_end, scales, zeros);
  });
  return errors;
}

}  // namespace

const HqqSolver& hqq_solver() {
  static constexpr HqqSolver solver{start, refine};
  return solver;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
