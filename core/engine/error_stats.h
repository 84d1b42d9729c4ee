// How far decoded weights are from the original ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/dtype.h"

namespace precis {

// Sums over pairs (original, decoded), of those where both are finite. The others are counted:
// a NaN for a NaN, and an infinity for the same infinity, are no error; every other pair is an
// infinite one.
struct ErrorStats {
  double sum_squared_error = 0;
  double sum_squared_original = 0;
  double max_absolute_error = 0;    // of the pairs in the sums
  uint64_t elements = 0;            // pairs in the sums
  uint64_t nonfinite_original = 0;  // NaN or infinity in the original
  uint64_t nonfinite_decoded = 0;   // NaN or infinity where the original was finite
  uint64_t nonfinite_changed = 0;   // of nonfinite_original: those that decode to something else

  // Adds the pairs of two arrays of equal length. The sums are within 1e-5 of the exact ones.
  void add(std::span<const float> original, std::span<const float> decoded);
  // The same of originals as they are stored: f32, f16 or bf16.
  void add(DType dtype, std::span<const std::byte> original, std::span<const float> decoded);
  void add(const ErrorStats& other);

  // Pairs whose error is infinite.
  uint64_t destroyed() const { return nonfinite_decoded + nonfinite_changed; }
  // Every pair is equal, a NaN to any NaN.
  bool equal() const { return sum_squared_error == 0 && destroyed() == 0; }

  // sqrt(sum (w - w')^2 / sum w^2); 0 when equal, infinity with a destroyed pair.
  double relative_error() const;
  // max |w - w'|; infinity with a destroyed pair.
  double max_error() const;
  // 10 log10(sum w^2 / sum (w - w')^2) in dB; infinity when equal, -infinity with a destroyed pair.
  double snr_db() const;
};

}  // namespace precis
