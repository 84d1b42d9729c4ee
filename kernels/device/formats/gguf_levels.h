// The rest of GGUF's block types, a family a kernel: what a run's bytes are is told by the type
// when they are loaded, and from there on they are 8 levels, a scale and a shift.
#pragma once

#include "kernels/device/formats/gguf_k_quants.h"
#include "kernels/device/formats/gguf_lattices.h"
#include "kernels/device/formats/gguf_small_blocks.h"

namespace precis::kernels::PRECIS_DEVICE {

struct GgufLevelsWeight {
  uint32_t rows, columns;
  const uint8_t* blocks;
  GgufType type;
  uint32_t block_log2, block_bytes;
  bool shifted;        // whether values have a shift
  bool looked_up;      // whether levels are codes of 4 bits
  uint32_t values[4];  // 16 signed bytes that such codes stand for
};

// Family: static GgufRun load(GgufType, block, place of the run in the block); kFamilyShifted.
template <class Family>
struct GgufLevels {
  using Weight = GgufLevelsWeight;
  using Run = GgufRun;
  static constexpr int kInFlight = 2;  // each has the code of every type

  struct Table {
    float values[16];
    uint32_t looked_up;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0) table.looked_up = weight.looked_up ? 1 : 0;
    if (threadIdx.x < 16)
      table.values[threadIdx.x] = static_cast<float>(
          static_cast<int8_t>(weight.values[threadIdx.x / 4] >> (8 * (threadIdx.x % 4))));
  }

  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    const uint64_t blocks_of_row = weight.columns >> weight.block_log2;
    const uint8_t* block =
        weight.blocks + (row * blocks_of_row + (column >> weight.block_log2)) * weight.block_bytes;
    return Family::load(weight.type, block, column & ((1u << weight.block_log2) - 1));
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t) {
    return load(weight, row, column);
  }
  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    if (Family::kLooksUp && table.looked_up != 0) {
      PRECIS_UNROLL
      for (int i = 0; i < kRun; ++i)
        levels[i] = table.values[(run.levels.words[i / 4] >> (8 * (i % 4))) & 15u];
      return;
    }
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] = static_cast<float>(static_cast<int8_t>(run.levels.words[i / 4] >> (8 * (i % 4))));
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) { return run.scale; }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    const float product = level * scale.scale;
    // A negative zero plus zero is no negative zero.
    return Family::kFamilyShifted && weight.shifted ? product + scale.shift : product;
  }
  static constexpr bool kShifted = Family::kFamilyShifted;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
