#include "core/engine/error_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace precis {
namespace {

struct BlockSums {
  double squared_error = 0, squared_original = 0, max_error = 0;
};

// The sums of a block whose values are all finite, in eight lanes so that the compiler can
// vectorise.
BlockSums sum_finite(std::span<const float> original, std::span<const float> decoded) {
  constexpr std::size_t kLanes = 8;
  double squared_error[kLanes] = {}, squared_original[kLanes] = {};
  float max_error[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= original.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float w = original[i + lane];
      const float error = w - decoded[i + lane];
      squared_error[lane] += static_cast<double>(error) * error;
      squared_original[lane] += static_cast<double>(w) * w;
      max_error[lane] = std::max(max_error[lane], std::fabs(error));
    }
  }
  for (; i < original.size(); ++i) {
    const float error = original[i] - decoded[i];
    squared_error[0] += static_cast<double>(error) * error;
    squared_original[0] += static_cast<double>(original[i]) * original[i];
    max_error[0] = std::max(max_error[0], std::fabs(error));
  }
  BlockSums sums;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    sums.squared_error += squared_error[lane];
    sums.squared_original += squared_original[lane];
    sums.max_error = std::max(sums.max_error, static_cast<double>(max_error[lane]));
  }
  return sums;
}

}  // namespace

void ErrorStats::add(std::span<const float> original, std::span<const float> decoded) {
  constexpr std::size_t kBlock = 4096;
  for (std::size_t begin = 0; begin < original.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, original.size() - begin);
    const auto w = original.subspan(begin, size);
    const auto d = decoded.subspan(begin, size);
    const BlockSums sums = sum_finite(w, d);
    // A NaN or an infinity anywhere makes one of the sums non-finite; only then look at each value.
    if (std::isfinite(sums.squared_error) && std::isfinite(sums.squared_original)) {
      sum_squared_error += sums.squared_error;
      sum_squared_original += sums.squared_original;
      max_absolute_error = std::max(max_absolute_error, sums.max_error);
      elements += size;
      continue;
    }
    for (std::size_t i = 0; i < size; ++i) {
      if (!std::isfinite(w[i])) {
        ++nonfinite_original;
      } else if (!std::isfinite(d[i])) {
        ++nonfinite_decoded;
      } else {
        const double error = static_cast<double>(w[i]) - d[i];
        sum_squared_error += error * error;
        sum_squared_original += static_cast<double>(w[i]) * w[i];
        max_absolute_error = std::max(max_absolute_error, std::fabs(error));
        ++elements;
      }
    }
  }
}

void ErrorStats::add(const ErrorStats& other) {
  sum_squared_error += other.sum_squared_error;
  sum_squared_original += other.sum_squared_original;
  max_absolute_error = std::max(max_absolute_error, other.max_absolute_error);
  elements += other.elements;
  nonfinite_original += other.nonfinite_original;
  nonfinite_decoded += other.nonfinite_decoded;
}

double ErrorStats::relative_error() const {
  if (sum_squared_error == 0) return 0;
  if (sum_squared_original == 0) return std::numeric_limits<double>::infinity();
  return std::sqrt(sum_squared_error / sum_squared_original);
}

double ErrorStats::snr_db() const {
  if (sum_squared_error == 0) return std::numeric_limits<double>::infinity();
  if (sum_squared_original == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_squared_original / sum_squared_error);
}

}  // namespace precis
