// Compiled once for each instruction set. Bound by the reads of centroids: each is read once, and
// its numbers, of as many rows, meet the number of x that its column has, times the column's scale.
#include "kernels/cpu/linear/row_dot.h"
#include "kernels/cpu/vptq/linear.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)

constexpr uint64_t kStripColumns = 512;  // at once
constexpr int kMostRows = 4;             // of x at once

// kLength numbers of a centroid, 8 or 4, in the first lanes.
template <typename Type, int kLength>
__m256 load_centroid(const typename Type::Stored* from) {
  if constexpr (std::is_same_v<Type, F32>) {
    if constexpr (kLength == 8) return _mm256_loadu_ps(from);
    return _mm256_castps128_ps256(_mm_loadu_ps(from));
  } else {
    const auto* words = reinterpret_cast<const __m128i*>(from);
    const __m128i loaded = kLength == 8 ? _mm_loadu_si128(words) : _mm_loadl_epi64(words);
    if constexpr (std::is_same_v<Type, F16>) return _mm256_cvtph_ps(loaded);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(loaded), 16));
  }
}

// Columns [begin, begin + count) of the weight, and of some rows of x.
template <typename Type>
struct Strip {
  using Stored = typename Type::Stored;
  // The numbers of x times the columns' scales; 0 for outliers, whose products are in `outlier_x`.
  float x[kMostRows][kStripColumns], outlier_x[kMostRows][kStripColumns];
  float biased[kMostRows] = {};          // the sums of x times the columns' biases
  const uint32_t* words[kStripColumns];  // of the first vector
  uint32_t inside[kStripColumns];
  const Stored *centroids[kStripColumns], *residual[kStripColumns];  // of their groups
  uint64_t outlier_columns[kStripColumns], outlier_places[kStripColumns];
  uint64_t count, outliers = 0;

  Strip(const VptqWeight& weight, const ActivationRows& rows, uint64_t first_row, int row_count,
        uint64_t begin)
      : count(std::min(kStripColumns, weight.columns - begin)) {
    for (uint64_t i = 0; i < count; ++i) find_place(weight, begin + i, i);
    const auto* scales = static_cast<const Stored*>(weight.scales);
    const auto* biases = static_cast<const Stored*>(weight.biases);
    for (int row = 0; row < row_count; ++row) {
      const auto* from = static_cast<const DotNumber*>(rows.numbers) +
                         (first_row + static_cast<uint64_t>(row)) * rows.stride + begin;
      for (uint64_t i = 0; i < count; ++i) {
        const float number = DotType::load(from, i);
        x[row][i] = scales == nullptr ? number : number * Type::load(scales, begin + i);
        if (biases != nullptr) biased[row] += number * Type::load(biases, begin + i);
      }
      for (uint64_t i = 0; i < outliers; ++i) {
        outlier_x[row][i] = x[row][outlier_columns[i]];
        x[row][outlier_columns[i]] = 0;
      }
    }
  }

 private:
  void find_place(const VptqWeight& weight, uint64_t column, uint64_t i) {
    const uint64_t place = weight.places == nullptr ? column : weight.places[column];
    const bool outlier = place < weight.outliers;
    if (outlier) {
      outlier_columns[outliers] = i;
      outlier_places[outliers++] = place;
    }
    const uint64_t stored = outlier ? 0 : place - weight.outliers;
    const uint64_t group = weight.groups == 1 ? 0 : stored / weight.group_size;
    words[i] = weight.indices + group * weight.vectors() * weight.words();
    inside[i] = static_cast<uint32_t>(stored - group * weight.group_size);
    centroids[i] =
        static_cast<const Stored*>(weight.centroids) + (group << weight.bits) * weight.vector;
    residual[i] = static_cast<const Stored*>(weight.residual) +
                  (group << weight.residual_bits) * weight.vector;
  }
};

// One group of columns whose indices, the residual's with them, have 16 bits.
bool has_whole_indices(const VptqWeight& weight) {
  return weight.groups == 1 && weight.bits + weight.residual_bits == 16;
}

// sums[row of x][lane] = rows vector * weight.vector + part and the following times the strip.
template <typename Type, int kLength, bool kResidual, bool kWhole, int kRows>
void add_vector(const VptqWeight& weight, const Strip<Type>& strip, uint64_t vector, uint64_t part,
                float (&sums)[kMostRows][8]) {
  // Of columns in turn, so that an addition does not wait for the last.
  __m256 found[2][kRows] = {};
  const int bits = weight.bits + (kResidual ? weight.residual_bits : 0);
  const uint32_t mask = (1u << weight.bits) - 1;
  const uint64_t first_word = vector * weight.words();
  const auto* whole = reinterpret_cast<const uint8_t*>(weight.indices + first_word);
  const auto at = [&](const typename Type::Stored* const(&of_groups)[kStripColumns], uint64_t i,
                      uint32_t index) {
    const auto* from = (kWhole ? of_groups[0] : of_groups[i]) + index * weight.vector + part;
    return load_centroid<Type, kLength>(from);
  };
  const auto add_column = [&](uint64_t i, __m256(&to)[kRows]) {
    uint32_t both = 0;
    if constexpr (kWhole)
      std::memcpy(&both, whole + 2 * strip.inside[i], 2);
    else
      both = stream_bits(strip.words[i] + first_word, strip.inside[i], bits);
    __m256 numbers = at(strip.centroids, i, both & mask);
    if constexpr (kResidual)
      numbers = _mm256_add_ps(numbers, at(strip.residual, i, both >> weight.bits));
    for (int row = 0; row < kRows; ++row)
      to[row] = _mm256_fmadd_ps(numbers, _mm256_set1_ps(strip.x[row][i]), to[row]);
  };
  for (uint64_t i = 0; i < strip.count; i += 2) {
    add_column(i, found[0]);
    add_column(i + 1, found[1]);
  }
  for (int row = 0; row < kRows; ++row)
    _mm256_storeu_ps(sums[row], _mm256_add_ps(found[0][row], found[1][row]));
}

template <typename Type>
float outlier_sum(const VptqWeight& weight, const Strip<Type>& strip, uint64_t row, int x_row) {
  const auto* centroids = static_cast<const typename Type::Stored*>(weight.outlier_centroids);
  float sum = 0;
  for (uint64_t i = 0; i < strip.outliers; ++i) {
    const uint64_t vector = row / weight.outlier_vector, part = row % weight.outlier_vector;
    const uint64_t index =
        weight.outlier_indices[vector * weight.outliers + strip.outlier_places[i]];
    sum += Type::load(centroids, index * weight.outlier_vector + part) * strip.outlier_x[x_row][i];
  }
  return sum;
}

// All neighbouring rows of the weight times kRows rows of x from x_row on.
template <typename Type, int kLength, bool kResidual, bool kWhole, int kRows>
void multiply_set(const VptqWeight& weight, std::span<const uint64_t> rows, const ActivationRows& x,
                  uint64_t x_row, float* sums) {
  const uint64_t begin = rows.front(), end = rows.back() + 1;
  const auto at = [&](uint64_t row, int i) -> float& {
    return sums[(row - begin) * x.count + x_row + static_cast<uint64_t>(i)];
  };
  for (uint64_t row = begin; row < end; ++row)
    for (int i = 0; i < kRows; ++i) at(row, i) = 0;
  for (uint64_t column = 0; column < weight.columns; column += kStripColumns) {
    const Strip<Type> strip(weight, x, x_row, kRows, column);
    for (uint64_t first = begin / kLength * kLength; first < end; first += kLength) {
      float added[kMostRows][8];
      add_vector<Type, kLength, kResidual, kWhole, kRows>(weight, strip, first / weight.vector,
                                                          first % weight.vector, added);
      for (uint64_t row = std::max(first, begin); row < std::min(first + kLength, end); ++row) {
        for (int i = 0; i < kRows; ++i)
          at(row, i) +=
              added[i][row - first] + strip.biased[i] + outlier_sum<Type>(weight, strip, row, i);
      }
    }
  }
}

template <typename Type, int kLength, bool kResidual, bool kWhole>
void multiply_all(const VptqWeight& weight, std::span<const uint64_t> rows, const ActivationRows& x,
                  float* sums) {
  uint64_t i = 0;
  for (; i + 4 <= x.count; i += 4)
    multiply_set<Type, kLength, kResidual, kWhole, 4>(weight, rows, x, i, sums);
  for (; i + 2 <= x.count; i += 2)
    multiply_set<Type, kLength, kResidual, kWhole, 2>(weight, rows, x, i, sums);
  if (i < x.count) multiply_set<Type, kLength, kResidual, kWhole, 1>(weight, rows, x, i, sums);
}

template <int kLength>
void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
              float* sums) {
  const VptqWeight& weight = static_cast<const VptqProductWeight*>(format)->weight;
  with_type(weight.type, [&](auto tag) {
    using Type = decltype(tag);
    const auto multiply = [&](auto whole) {
      constexpr bool kWhole = decltype(whole)::value;
      if (weight.residual_bits != 0)
        multiply_all<Type, kLength, true, kWhole>(weight, rows, x, sums);
      else
        multiply_all<Type, kLength, false, kWhole>(weight, rows, x, sums);
    };
    if (has_whole_indices(weight))
      multiply(std::true_type{});
    else
      multiply(std::false_type{});
  });
}

RowDot row_dot(const VptqWeight& weight) {
  RowDot dot;
  dot.takes_neighbours = true;
  dot.x_type = kDotType;
  if (weight.columns % kDotColumns != 0 || weight.bits >= 32) return {};
  if (weight.vector % 8 == 0)
    dot.multiply = multiply<8>;
  else if (weight.vector % 4 == 0)
    dot.multiply = multiply<4>;
  return dot;
}

#else
RowDot row_dot(const VptqWeight&) {
  return {};
}
#endif

}  // namespace

const VptqLinearKernels& vptq_linear_kernels() {
  static constexpr VptqLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
