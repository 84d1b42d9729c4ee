#include "core/engine/error_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/common/error_sums.h"

namespace precis {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Pair by pair in double, for what the kernel cannot sum.
template <typename Type>
void add_each(const typename Type::Stored* original, const float* decoded, std::size_t count,
              ErrorStats& stats) {
  for (std::size_t i = 0; i < count; ++i) {
    const float w = Type::load(original, i);
    if (!std::isfinite(w)) {
      ++stats.nonfinite_original;
      const bool same = std::isnan(w) ? std::isnan(decoded[i]) : w == decoded[i];
      stats.nonfinite_changed += same ? 0 : 1;
    } else if (!std::isfinite(decoded[i])) {
      ++stats.nonfinite_decoded;
    } else {
      const double error = static_cast<double>(w) - decoded[i];
      stats.sum_squared_error += error * error;
      stats.sum_squared_original += static_cast<double>(w) * w;
      stats.max_absolute_error = std::max(stats.max_absolute_error, std::fabs(error));
      ++stats.elements;
    }
  }
}

}  // namespace

void ErrorStats::add(std::span<const float> original, std::span<const float> decoded) {
  add(DType::f32, std::as_bytes(original), decoded);
}

void ErrorStats::add(DType dtype, std::span<const std::byte> original,
                     std::span<const float> decoded) {
  const auto type = dtype == DType::f32   ? kernels::WeightType::f32
                    : dtype == DType::f16 ? kernels::WeightType::f16
                                          : kernels::WeightType::bf16;
  const auto& kernel = kernels::error_sum_kernels(kernels::current_isa());
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = reinterpret_cast<const typename Type::Stored*>(original.data());
    for (std::size_t begin = 0; begin < decoded.size(); begin += kernels::kErrorSumPairs) {
      const std::size_t count = std::min(kernels::kErrorSumPairs, decoded.size() - begin);
      kernels::ErrorSums sums;
      if (kernel.sum(type, values + begin, decoded.data() + begin, count, sums)) {
        sum_squared_error += sums.squared_error;
        sum_squared_original += sums.squared_original;
        max_absolute_error = std::max(max_absolute_error, sums.max_error);
        elements += count;
      } else {
        add_each<Type>(values + begin, decoded.data() + begin, count, *this);
      }
    }
  });
}

void ErrorStats::add(const ErrorStats& other) {
  sum_squared_error += other.sum_squared_error;
  sum_squared_original += other.sum_squared_original;
  max_absolute_error = std::max(max_absolute_error, other.max_absolute_error);
  elements += other.elements;
  nonfinite_original += other.nonfinite_original;
  nonfinite_decoded += other.nonfinite_decoded;
  nonfinite_changed += other.nonfinite_changed;
}

double ErrorStats::relative_error() const {
  if (equal()) return 0;
  if (destroyed() > 0 || sum_squared_original == 0) return kInfinity;
  return std::sqrt(sum_squared_error / sum_squared_original);
}

double ErrorStats::max_error() const {
  return destroyed() > 0 ? kInfinity : max_absolute_error;
}

double ErrorStats::snr_db() const {
  if (equal()) return kInfinity;
  if (destroyed() > 0 || sum_squared_original == 0) return -kInfinity;
  return 10 * std::log10(sum_squared_original / sum_squared_error);
}

}  // namespace precis
