// Compiled once for each instruction set.
#include "kernels/cpu/calibration/dense.h"
#include "kernels/cpu/gptq/packing.h"
#include "kernels/cpu/gptq/solver.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr uint64_t kRows = 32;    // rows that are solved, and packed, together
constexpr uint64_t kBlock = 128;  // columns whose errors reach the columns behind them at once

// One number of each row.
struct alignas(64) Lanes {
  float of[kRows];
};

// The memory of one call.
struct Tile {
  Lanes* weight;   // [columns], in the order of solving
  Lanes* error;    // [kBlock]
  Lanes* scale;    // [groups]
  Lanes* zero;     // [groups]
  uint8_t* codes;  // [columns][kRows], in the order of the weight
};

Tile divide_scratch(void* scratch, const GptqShape& shape) {
  auto* lanes = static_cast<Lanes*>(scratch);
  Tile tile{};
  tile.weight = lanes;
  tile.error = tile.weight + shape.columns;
  tile.scale = tile.error + kBlock;
  tile.zero = tile.scale + shape.groups();
  tile.codes = reinterpret_cast<uint8_t*>(tile.zero + shape.groups());
  return tile;
}

template <typename Type>
void load_rows(const typename Type::Stored* weight, const GptqSolve& solve, uint64_t row,
               Lanes* tile) {
  for (uint64_t i = 0; i < solve.shape.columns; ++i) {
    for (uint64_t r = 0; r < kRows; ++r)
      tile[i].of[r] = Type::load(weight, (row + r) * solve.shape.columns + solve.order[i]);
  }
}

// A group's bounds, widened column by column.
struct Bounds {
  Lanes low, high;
  Bounds() : low{}, high{} {}
  void add(const Lanes& column) {
    for (uint64_t r = 0; r < kRows; ++r) {
      low.of[r] = column.of[r] < low.of[r] ? column.of[r] : low.of[r];
      high.of[r] = column.of[r] > high.of[r] ? column.of[r] : high.of[r];
    }
  }
};

void find_parameters(const Bounds& bounds, int bits, bool symmetric, Lanes& scale, Lanes& zero) {
  const auto levels = static_cast<float>((1 << bits) - 1);
  for (uint64_t r = 0; r < kRows; ++r) {
    float low = bounds.low.of[r], high = bounds.high.of[r];
    if (symmetric) {
      high = high > -low ? high : -low;
      low = -high;
    }
    if (low == 0 && high == 0) {
      low = -1;
      high = 1;
    }
    const float stored = F16::round((high - low) / levels);
    // Neither 0 nor infinite, so that codes can be told.
    const float bounded = stored > 65504.0f ? 65504.0f : stored < 0x1p-24f ? 0x1p-24f : stored;
    const float middle = (levels + 1) / 2, place = round_to_even(-low / bounded);
    scale.of[r] = bounded;
    zero.of[r] = symmetric ? middle : place > levels ? levels : place;
  }
}

// Whether the column at `place` opens a group that has no parameters yet.
bool opens_group(const GptqSolve& solve, uint64_t place) {
  return !solve.static_groups && (place == 0 || solve.group_of[place] != solve.group_of[place - 1]);
}

void open_group(const GptqSolve& solve, uint64_t place, const Tile& tile) {
  Bounds bounds;
  const uint64_t group = solve.group_of[place];
  for (uint64_t i = place; i < solve.shape.columns && solve.group_of[i] == group; ++i)
    bounds.add(tile.weight[i]);
  find_parameters(bounds, solve.format.bits, solve.symmetric, tile.scale[group], tile.zero[group]);
}

void open_static_groups(const GptqSolve& solve, const Tile& tile) {
  for (uint64_t group = 0; group < solve.shape.groups(); ++group) {
    Bounds bounds;
    for (uint64_t i = 0; i < solve.shape.columns; ++i) {
      if (solve.group_of[i] == group) bounds.add(tile.weight[i]);
    }
    find_parameters(bounds, solve.format.bits, solve.symmetric, tile.scale[group],
                    tile.zero[group]);
  }
}

// Rounds the column at `place`; its error, divided by the factor's diagonal, to `error`.
void round_column(const GptqSolve& solve, uint64_t place, const Tile& tile, Lanes& error) {
  const auto levels = static_cast<float>((1 << solve.format.bits) - 1);
  const float inverse = 1 / solve.factor[place * solve.shape.columns + place];
  const Lanes& weight = tile.weight[place];
  const Lanes& scale = tile.scale[solve.group_of[place]];
  const Lanes& zero = tile.zero[solve.group_of[place]];
  uint8_t* codes = tile.codes + uint64_t{solve.order[place]} * kRows;
  for (uint64_t r = 0; r < kRows; ++r) {
    const float quotient = weight.of[r] / scale.of[r];
    const float number = quotient == quotient ? quotient : 0;
    const float bounded = number < -1024 ? -1024 : number > 1024 ? 1024 : number;
    const float shifted = round_to_even(bounded) + zero.of[r];
    const float code = shifted < 0 ? 0 : shifted > levels ? levels : shifted;
    codes[r] = static_cast<uint8_t>(static_cast<int>(code));
    error.of[r] = (weight.of[r] - scale.of[r] * (code - zero.of[r])) * inverse;
  }
}

// Where the block that begins at `begin` ends: before a group that would lie in two blocks, so that
// a group that opens has taken up every error so far.
uint64_t block_end(const GptqSolve& solve, uint64_t begin) {
  const uint64_t columns = solve.shape.columns;
  if (begin + kBlock >= columns) return columns;
  uint64_t opening = begin + kBlock;
  while (opening > begin && solve.group_of[opening - 1] == solve.group_of[begin + kBlock])
    --opening;
  return opening > begin ? opening : begin + kBlock;
}

// Rounds all columns; returns the sum of the squares of the errors, which is e (H + damping) e^T.
double round_columns(const GptqSolve& solve, const Tile& tile) {
  const uint64_t columns = solve.shape.columns;
  double sum = 0;
  if (solve.static_groups) open_static_groups(solve, tile);
  for (uint64_t begin = 0, end = 0; begin < columns; begin = end) {
    end = block_end(solve, begin);
    for (uint64_t i = begin; i < end; ++i) {
      if (opens_group(solve, i)) open_group(solve, i, tile);
      Lanes& error = tile.error[i - begin];
      round_column(solve, i, tile, error);
      const float* multiples = solve.factor + i * columns;
      for (uint64_t j = i + 1; j < end; ++j) {
        for (uint64_t r = 0; r < kRows; ++r) tile.weight[j].of[r] -= multiples[j] * error.of[r];
      }
      for (uint64_t r = 0; r < kRows; ++r) sum += double{error.of[r]} * error.of[r];
    }
    if (end < columns) {
      dense_kernels(current_isa())
          .multiply_add(solve.factor + begin * columns + end, columns, tile.error[0].of, kRows,
                        columns - end, kRows, end - begin, -1, tile.weight[end].of, kRows);
    }
  }
  return sum;
}

// The square of what the rows lost.
template <typename Type>
double lost(const typename Type::Stored* weight, const GptqSolve& solve, uint64_t row,
            const Tile& tile) {
  double sum = 0;
  for (uint64_t i = 0; i < solve.shape.columns; ++i) {
    const uint64_t column = solve.order[i], group = solve.group_of[i];
    for (uint64_t r = 0; r < kRows; ++r) {
      const float code = tile.codes[column * kRows + r];
      const float value = tile.scale[group].of[r] * (code - tile.zero[group].of[r]);
      const double error = Type::load(weight, (row + r) * solve.shape.columns + column) - value;
      sum += error * error;
    }
  }
  return sum;
}

void pack(const GptqSolve& solve, uint64_t row, const Tile& tile, uint32_t* qweight,
          uint32_t* qzeros, uint16_t* scales) {
  const GptqShape& shape = solve.shape;
  const auto bits = static_cast<uint64_t>(solve.format.bits);
  for (uint64_t group = 0; group < shape.groups(); ++group) {
    uint8_t zeros[kRows];
    for (uint64_t r = 0; r < kRows; ++r) {
      zeros[r] = static_cast<uint8_t>(tile.zero[group].of[r]);
      scales[group * shape.rows + row + r] = float_to_half(tile.scale[group].of[r]);
    }
    pack_zeros(solve.format, zeros, qzeros + (group * shape.rows + row) / 32 * bits);
  }
  for (uint64_t column = 0; column < shape.columns; column += 32) {
    for (uint64_t r = 0; r < kRows; ++r) {
      uint8_t codes[32];
      for (uint64_t j = 0; j < 32; ++j) codes[j] = tile.codes[(column + j) * kRows + r];
      uint32_t words[8];
      pack_codes(solve.format, codes, words);
      for (uint64_t word = 0; word < bits; ++word)
        qweight[(column / 32 * bits + word) * shape.rows + row + r] = words[word];
    }
  }
}

double solve_rows(WeightType type, const void* weight, const GptqSolve& solve, uint64_t row,
                  void* scratch, uint32_t* qweight, uint32_t* qzeros, uint16_t* scales) {
  const Tile tile = divide_scratch(scratch, solve.shape);
  double damped = 0, error = 0;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    load_rows<Type>(values, solve, row, tile.weight);
    damped = round_columns(solve, tile);
    error = damped - double{solve.damping} * lost<Type>(values, solve, row, tile);
  });
  pack(solve, row, tile, qweight, qzeros, scales);
  return error > 0 ? error : 0;
}

}  // namespace

const GptqSolverKernels& gptq_solver_kernels() {
  static constexpr GptqSolverKernels kernels{solve_rows};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
