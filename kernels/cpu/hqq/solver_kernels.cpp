// Compiled once for each instruction set.
#include <cmath>

#include "kernels/cpu/common/eight_sums.h"
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
Range range_of(const typename Type::Stored* values, uint64_t count, uint64_t step) {
  const float first = Type::load(values, 0);
  Range range{first, first};
  uint64_t i = 1;
#if PRECIS_LANES > 1
  if (step == 1 && count % kLanes == 0) {
    Floats low = load_numbers<Type>(values), high = low, sum = low - low;
    for (i = kLanes; i < count; i += kLanes) {
      const Floats here = load_numbers<Type>(values + i);
      low = min(here, low);
      high = max(here, high);
      sum = sum + (here - here);  // a NaN where a number is not finite
    }
    // Zeros of both signs: which of them is the least is for the loop below to say.
    const Range found{smallest_of(low), largest_of(high)};
    if (!any_nan(sum, sum) && found.low != 0 && found.high != 0) return found;
    i = 1;
  }
#endif
  for (; i < count; ++i) range.add(Type::load(values, i * step));
  return range;
}

template <typename Type>
void start_of(const typename Type::Stored* weight, const HqqGrid& grid, int levels, bool round_zero,
              uint64_t group_begin, uint64_t group_end, float* scales, float* zeros) {
  const uint64_t count = grid.axis == 1 ? grid.columns : grid.rows;
  const uint64_t step = grid.axis == 1 ? 1 : grid.columns;
  for (uint64_t group = group_begin; group < group_end; ++group) {
    const auto* first = weight + (grid.axis == 1 ? group * grid.columns : group);
    start_group(range_of<Type>(first, count, step), levels, round_zero, scales + group,
                zeros + group);
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
struct Wish {
  float zero, error;
};

// Below 0.1^(1/1.3) = 0.17013 the operator gives 0: with the errors of real weights, always.
constexpr float kNothingLeft = 0.17f;

Wish wish_of(float value, float scale, float zero, float levels) {
  const float code = hqq_code(value, scale, zero, levels);
  const float difference = value - (code - zero) / scale, error = std::fabs(difference);
  if (error < kNothingLeft) return {code - value * scale, error};
  return {code - (value - shrunk(difference)) * scale, error};
}

#if PRECIS_LANES > 1
struct Wishes {
  Floats zero, error;
};

// Out of line, so that what calls it is small enough to be inlined.
template <typename Type>
[[gnu::noinline]] Wishes wishes_one_by_one(const typename Type::Stored* weight, Floats scale,
                                           Floats zero, float levels) {
  float scales[kLanes], zeros[kLanes], wanted[kLanes], errors[kLanes];
  scale.store(scales);
  zero.store(zeros);
  for (int lane = 0; lane < kLanes; ++lane) {
    const float value = Type::load(weight, static_cast<uint64_t>(lane));
    const Wish wish = wish_of(value, scales[lane], zeros[lane], levels);
    wanted[lane] = wish.zero;
    errors[lane] = wish.error;
  }
  return {Floats::load(wanted), Floats::load(errors)};
}

// wish_of each lane.
template <typename Type>
inline Wishes wishes_of(const typename Type::Stored* weight, Floats scale, Floats zero,
                        float levels) {
  const Floats value = load_numbers<Type>(weight);
  const Floats code = hqq_code(value, scale, zero, levels);
  const Floats error = abs(value - (code - zero) / scale);
  if (all(error < Floats::of(kNothingLeft))) return {code - value * scale, error};
  return wishes_one_by_one<Type>(weight, scale, zero, levels);
}
#endif

// A row of one group: the sum of its wishes; their errors are added to `errors`.
template <typename Type>
double refine_row(const typename Type::Stored* weight, uint64_t count, float scale, float zero,
                  float levels, EightSums& errors) {
  EightSums sum;
  uint64_t i = 0;
#if PRECIS_LANES >= 8
  const Floats scales = Floats::of(scale), zeros = Floats::of(zero);
  for (; i + kLanes <= count; i += kLanes) {
    const Wishes wishes = wishes_of<Type>(weight + i, scales, zeros, levels);
    sum.add(wishes.zero);
    errors.add(wishes.error);
  }
#endif
  for (; i < count; i += kStrip) {
    float wanted[kStrip], error[kStrip];
    const uint64_t here = std::min(kStrip, count - i);
    for (uint64_t j = 0; j < here; ++j) {
      const Wish wish = wish_of(Type::load(weight, i + j), scale, zero, levels);
      wanted[j] = wish.zero;
      error[j] = wish.error;
    }
    sum.add(wanted, here);
    errors.add(error, here);
  }
  return sum.total();
}

template <typename Type>
double refine_rows(const typename Type::Stored* weight, const HqqGrid& grid, float levels,
                   uint64_t begin, uint64_t end, const float* scales, float* zeros) {
  EightSums errors;
  for (uint64_t row = begin; row < end; ++row) {
    const double sum = refine_row<Type>(weight + row * grid.columns, grid.columns, scales[row],
                                        zeros[row], levels, errors);
    zeros[row] = static_cast<float>(sum / static_cast<double>(grid.columns));
  }
  return errors.total();
}

// A strip of a row whose columns are of groups of their own.
template <typename Type>
void refine_strip(const typename Type::Stored* weight, uint64_t count, const float* scale,
                  const float* zero, float levels, float* wanted, float* error) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Wishes wishes =
        wishes_of<Type>(weight + i, Floats::load(scale + i), Floats::load(zero + i), levels);
    wishes.zero.store(wanted + i);
    wishes.error.store(error + i);
  }
#endif
  for (; i < count; ++i) {
    const Wish wish = wish_of(Type::load(weight, i), scale[i], zero[i], levels);
    wanted[i] = wish.zero;
    error[i] = wish.error;
  }
}

template <typename Type>
double refine_columns(const typename Type::Stored* weight, const HqqGrid& grid, float levels,
                      uint64_t begin, uint64_t end, const float* scales, float* zeros) {
  EightSums errors;
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
