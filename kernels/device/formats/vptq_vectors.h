// VPTQ's vectors of output features: kernels/cpu/vptq/vptq.h has the format.
#pragma once

#include "kernels/cpu/vptq/vptq.h"
#include "kernels/device/formats/format.h"
#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

struct VptqVectors {
  // The rows of a vector have the same indices, and their numbers are neighbours.
  static constexpr bool kAlongRows = true;
  static constexpr int kInFlight = 1;

  struct Weight {
    uint32_t rows, columns;
    WeightType type;  // of all floats; sums and products are rounded to it
    uint32_t vector, vectors, groups, group_size, words;
    uint32_t bits, residual_bits;
    const uint32_t* indices;  // [groups][vectors][words]
    const void *centroids, *residual;
    uint32_t outliers, outlier_vector;
    const uint16_t* outlier_indices;
    const void* outlier_centroids;
    const uint32_t* places;  // of each column, or null
    const void *scales, *biases;
  };
  using Table = NoTable;
  static PRECIS_FUNCTION void fill(Table&, const Weight&) {}

  struct Run {
    float values[kRun];
  };

  static PRECIS_FUNCTION uint32_t index_at(const Weight& w, uint32_t group, uint32_t vector,
                                           uint32_t inside) {
    const uint32_t bits = w.bits + w.residual_bits;
    const uint64_t bit = uint64_t{inside} * bits;
    const uint32_t* from = w.indices + (uint64_t{group} * w.vectors + vector) * w.words + bit / 32;
    const auto shift = static_cast<uint32_t>(bit % 32);
    uint32_t index = from[0] >> shift;
    if (shift + bits > 32) index |= from[1] << (32 - shift);
    return bits < 32 ? index & ((1u << bits) - 1) : index;
  }
  static PRECIS_FUNCTION float number_at(const Weight& w, uint32_t row, uint32_t place) {
    if (place < w.outliers) {
      const uint32_t vector = row / w.outlier_vector;
      const uint32_t index = w.outlier_indices[uint64_t{vector} * w.outliers + place];
      return load_float({w.type, w.outlier_centroids},
                        uint64_t{index} * w.outlier_vector + row % w.outlier_vector);
    }
    const uint32_t column = place - w.outliers, vector = row / w.vector, part = row % w.vector;
    const uint32_t group = w.groups == 1 ? 0 : column / w.group_size;
    const uint32_t both = index_at(w, group, vector, column - group * w.group_size);
    const uint64_t main = (uint64_t{group} << w.bits) + (both & ((1u << w.bits) - 1));
    const float number = load_float({w.type, w.centroids}, main * w.vector + part);
    if (w.residual_bits == 0) return number;
    const uint64_t second = (uint64_t{group} << w.residual_bits) + (both >> w.bits);
    return round_to(w.type, number + load_float({w.type, w.residual}, second * w.vector + part));
  }
  static PRECIS_FUNCTION float element(const Weight& w, uint32_t row, uint32_t column) {
    float value = number_at(w, row, w.places == nullptr ? column : w.places[column]);
    if (w.scales != nullptr)
      value = round_to(w.type, value * load_float({w.type, w.scales}, column));
    if (w.biases != nullptr)
      value = round_to(w.type, value + load_float({w.type, w.biases}, column));
    return value;
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return load_part(weight, row, column, kRun);
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    Run run{};
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i) {
      if (i >= count) break;
      run.values[i] = element(weight, row, column + i);
    }
    return run;
  }
  static PRECIS_FUNCTION void unpack(const Table&, const Run& run, float (&levels)[kRun]) {
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i) levels[i] = run.values[i];
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run&) { return Scale{1.0f, 0.0f}; }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale) { return level; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

// For dequantize_elements.h.
struct VptqElements {
  using Weight = VptqVectors::Weight;
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& weight, uint32_t row, uint32_t column) {
    return VptqVectors::element(weight, row, column);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
