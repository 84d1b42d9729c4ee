// Compiled once for each instruction set.
#include "kernels/cpu/awq/search.h"
#include "kernels/cpu/calibration/dense.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kRows = kAwqSearchRows;
constexpr float kLevels = 15;
// AutoAWQ's grid of bounds: from the group's largest magnitude down to 11/20 of it.
constexpr int kClipSteps = 10, kClipGrid = 20;

// One number of each row.
struct alignas(64) Lanes {
  float of[kRows];
};

// The memory of one call, [columns] each.
struct Tile {
  Lanes* weight;    // scaled
  Lanes* error;     // in terms of the weight without scales
  Lanes* products;  // H times the error
};

Tile divide_scratch(void* scratch, const AwqShape& shape) {
  auto* lanes = static_cast<Lanes*>(scratch);
  return {lanes, lanes + shape.columns, lanes + 2 * shape.columns};
}

// Lanes without a row hold zeros.
void load_scaled(const AwqSearch& search, const float* scales, uint64_t row, uint64_t rows,
                 Lanes* out) {
  const uint64_t columns = search.shape.columns;
  with_type(search.type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* weight = static_cast<const typename Type::Stored*>(search.weight);
    for (uint64_t i = 0; i < columns; ++i) {
      for (uint64_t r = 0; r < kRows; ++r) {
        out[i].of[r] = r < rows ? scales[i] * Type::load(weight, (row + r) * columns + i) : 0.0f;
      }
    }
  });
}

float clipped(float value, float bound) {
  return value > bound ? bound : value < -bound ? -bound : value;
}

// Rounds the columns [begin, end) of a group, clipped at `bound`, and writes what that loses.
void round_group(const Tile& tile, const float* scales, uint64_t begin, uint64_t end,
                 const Lanes& bound) {
  Lanes low, high;
  for (uint64_t r = 0; r < kRows; ++r)
    low.of[r] = high.of[r] = clipped(tile.weight[begin].of[r], bound.of[r]);
  for (uint64_t i = begin; i < end; ++i) {
    for (uint64_t r = 0; r < kRows; ++r) {
      const float value = clipped(tile.weight[i].of[r], bound.of[r]);
      low.of[r] = value < low.of[r] ? value : low.of[r];
      high.of[r] = value > high.of[r] ? value : high.of[r];
    }
  }
  Lanes scale, zero;
  for (uint64_t r = 0; r < kRows; ++r) {
    const float range = high.of[r] - low.of[r];
    scale.of[r] = F16::round((range < 1e-5f ? 1e-5f : range) / kLevels);
    const float place = -low.of[r] / scale.of[r];
    const float bounded = place < -64 ? -64 : place > 64 ? 64 : place;
    const float whole = round_to_even(bounded);
    zero.of[r] = whole < 0 ? 0 : whole > kLevels ? kLevels : whole;
  }
  for (uint64_t i = begin; i < end; ++i) {
    const float unscaled = 1 / scales[i];
    for (uint64_t r = 0; r < kRows; ++r) {
      const float quotient = clipped(tile.weight[i].of[r], bound.of[r]) / scale.of[r];
      const float bounded = quotient < -64 ? -64 : quotient > 64 ? 64 : quotient;
      const float shifted = round_to_even(bounded) + zero.of[r];
      const float code = shifted < 0 ? 0 : shifted > kLevels ? kLevels : shifted;
      const float value = (code - zero.of[r]) * scale.of[r];
      tile.error[i].of[r] = (value - tile.weight[i].of[r]) * unscaled;
    }
  }
}

// e H e^T of the columns [begin, end) alone, for each row.
Lanes quadratic(const AwqSearch& search, const Tile& tile, uint64_t begin, uint64_t end) {
  const uint64_t columns = search.shape.columns, count = end - begin;
  for (uint64_t i = begin; i < end; ++i) tile.products[i] = Lanes{};
  dense_kernels(current_isa())
      .multiply_add(search.moments + begin * columns + begin, columns, tile.error[begin].of, kRows,
                    count, kRows, count, 1, tile.products[begin].of, kRows);
  Lanes sums{};
  for (uint64_t i = begin; i < end; ++i) {
    for (uint64_t r = 0; r < kRows; ++r) sums.of[r] += tile.error[i].of[r] * tile.products[i].of[r];
  }
  return sums;
}

double total(const Lanes& lanes) {
  double sum = 0;
  for (const float value : lanes.of) sum += value;
  return sum;
}

Lanes largest_magnitude(const Tile& tile, uint64_t begin, uint64_t end) {
  Lanes largest{};
  for (uint64_t i = begin; i < end; ++i) {
    for (uint64_t r = 0; r < kRows; ++r) {
      const float value = tile.weight[i].of[r], magnitude = value < 0 ? -value : value;
      largest.of[r] = magnitude > largest.of[r] ? magnitude : largest.of[r];
    }
  }
  return largest;
}

double loss(const AwqSearch& search, const float* scales, uint64_t row, uint64_t rows,
            void* scratch) {
  const Tile tile = divide_scratch(scratch, search.shape);
  const uint64_t columns = search.shape.columns, size = search.shape.group_size;
  load_scaled(search, scales, row, rows, tile.weight);
  for (uint64_t begin = 0; begin < columns; begin += size)
    round_group(tile, scales, begin, begin + size, largest_magnitude(tile, begin, begin + size));
  return total(quadratic(search, tile, 0, columns));
}

Lanes best_bound(const AwqSearch& search, const Tile& tile, const float* scales, uint64_t begin,
                 uint64_t end) {
  const Lanes largest = largest_magnitude(tile, begin, end);
  Lanes best = largest, least{};
  for (int step = 0; step < kClipSteps; ++step) {
    const float share = 1 - static_cast<float>(step) / kClipGrid;
    Lanes bound;
    for (uint64_t r = 0; r < kRows; ++r) bound.of[r] = largest.of[r] * share;
    round_group(tile, scales, begin, end, bound);
    const Lanes lost = quadratic(search, tile, begin, end);
    for (uint64_t r = 0; r < kRows; ++r) {
      if (step > 0 && !(lost.of[r] < least.of[r])) continue;
      least.of[r] = lost.of[r];
      best.of[r] = bound.of[r];
    }
  }
  return best;
}

void scale_and_clip(const AwqSearch& search, const float* scales, bool clip, uint64_t row,
                    uint64_t rows, void* scratch, float* out) {
  const Tile tile = divide_scratch(scratch, search.shape);
  const uint64_t columns = search.shape.columns, size = search.shape.group_size;
  load_scaled(search, scales, row, rows, tile.weight);
  for (uint64_t begin = 0; begin < columns; begin += size) {
    const uint64_t end = begin + size;
    const Lanes bound =
        clip ? best_bound(search, tile, scales, begin, end) : largest_magnitude(tile, begin, end);
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t i = begin; i < end; ++i)
        out[r * columns + i] = clipped(tile.weight[i].of[r], bound.of[r]);
    }
  }
}

double decoded_loss(const AwqSearch& search, const float* scales, const float* decoded,
                    uint64_t row, uint64_t rows, void* scratch) {
  const Tile tile = divide_scratch(scratch, search.shape);
  const uint64_t columns = search.shape.columns;
  load_scaled(search, scales, row, rows, tile.weight);
  for (uint64_t i = 0; i < columns; ++i) {
    for (uint64_t r = 0; r < kRows; ++r) {
      const float value = r < rows ? decoded[r * columns + i] : 0.0f;
      tile.error[i].of[r] = (value - tile.weight[i].of[r]) / scales[i];
    }
  }
  return total(quadratic(search, tile, 0, columns));
}

}  // namespace

const AwqSearchKernels& awq_search_kernels() {
  static constexpr AwqSearchKernels kernels{loss, scale_and_clip, decoded_loss};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
