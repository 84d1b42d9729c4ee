// Stored group-wise integers, decoded, or brought into rows for products (formats/grouped.h).
//
// A block of threads takes a tile of 32 x 64: it collects the codes along the direction in which
// they are stored, and leaves along the rows. Bound by memory and, where codes are gathered bit by
// bit, by instructions.
#pragma once

#include "kernels/device/formats/packings.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kUnpackThreads = 256;
inline constexpr uint32_t kUnpackRows = 32, kUnpackRuns = 8;

// Codes of a tile, one in a byte. Runs change places so that 16 neighbouring threads touch all
// banks once, whether they stand along a row or along a column.
struct CodeTile {
  Words2 runs[kUnpackRows * kUnpackRuns];
};
PRECIS_FUNCTION uint32_t place_of_run(uint32_t row, uint32_t run) {
  return row * kUnpackRuns + (run ^ (row / 2 % kUnpackRuns));
}

template <Packing P>
PRECIS_FUNCTION void collect_codes(const StoredGroups& weight, uint32_t first_row,
                                   uint32_t first_column, CodeTile& tile) {
  const uint32_t t = threadIdx.x;
  const uint32_t row = kCodesAlongRows<P> ? t % kUnpackRows : t / kUnpackRuns;
  const uint32_t run = kCodesAlongRows<P> ? t / kUnpackRows : t % kUnpackRuns;
  const uint32_t column = first_column + run * kRun;
  uint32_t words[2] = {};
  if (first_row + row < weight.rows) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      if (column + i < weight.columns)
        words[i / 4] |= stored_code<P>(weight, first_row + row, column + i) << (8 * (i % 4));
  }
  store_vector(&tile.runs[place_of_run(row, run)], Words2{{words[0], words[1]}});
}

// A value as formats/grouped.h defines it.
template <bool Added>
PRECIS_FUNCTION float group_value(const GroupArithmetic& arithmetic, uint32_t code,
                                  GroupScale group) {
  const float number = static_cast<float>(static_cast<int>(code)) - arithmetic.base;
  if constexpr (Added)
    return round_to(arithmetic.rounding,
                    round_to(arithmetic.inner, number * group.scale) + group.offset);
  return round_to(arithmetic.rounding,
                  round_to(arithmetic.inner, number - group.offset) * group.scale);
}

// runs_share: the elements of a run have one group.
template <Packing P, class Out>
__global__ void __launch_bounds__(kUnpackThreads)
    dequantize_groups_kernel(PRECIS_PARAMETER StoredGroups weight, bool runs_share, Out* out) {
  PRECIS_SHARED(CodeTile, tile);
  const uint32_t first_column = blockIdx.x * kUnpackRuns * kRun;
  for (uint32_t first_row = blockIdx.y * kUnpackRows; first_row < weight.rows;
       first_row += gridDim.y * kUnpackRows) {
    collect_codes<P>(weight, first_row, first_column, tile);
    __syncthreads();
    const uint32_t row = threadIdx.x / kUnpackRuns, run = threadIdx.x % kUnpackRuns;
    const uint32_t column = first_column + run * kRun;
    if (first_row + row < weight.rows && column < weight.columns) {
      const auto codes = load_vector<Words2>(&tile.runs[place_of_run(row, run)]);
      GroupScale group = stored_group_scale<P>(weight, first_row + row, column);
      float values[kRun];
      PRECIS_UNROLL
      for (uint32_t i = 0; i < kRun; ++i) {
        if (!runs_share && i > 0 && column + i < weight.columns)
          group = stored_group_scale<P>(weight, first_row + row, column + i);
        values[i] = group_value<kOffsetAdded<P>>(
            weight.arithmetic, codes.words[i / 4] >> (8 * (i % 4)) & 0xffu, group);
      }
      Out* to = out + uint64_t{first_row + row} * weight.columns + column;
      if (weight.columns % kRun == 0) {
        store_8(to, values);
      } else {
        PRECIS_UNROLL
        for (uint32_t i = 0; i < kRun; ++i)
          if (column + i < weight.columns) to[i] = from_float<Out>(values[i]);
      }
    }
    __syncthreads();
  }
}

// codes[rows][columns * Bits / 32] and scales[rows][groups]; where codes stay in columns, they are
// null and scales[groups][rows]. columns and group_size are multiples of 8.
template <Packing P, int Bits>
__global__ void __launch_bounds__(kUnpackThreads)
    repack_kernel(PRECIS_PARAMETER StoredGroups weight, uint32_t group_size, uint32_t* codes,
                  GroupScale* scales) {
  PRECIS_SHARED(CodeTile, tile);
  const uint32_t first_column = blockIdx.x * kUnpackRuns * kRun;
  for (uint32_t first_row = blockIdx.y * kUnpackRows; first_row < weight.rows;
       first_row += gridDim.y * kUnpackRows) {
    if (codes != nullptr) collect_codes<P>(weight, first_row, first_column, tile);
    __syncthreads();
    const uint32_t row = threadIdx.x / kUnpackRuns, run = threadIdx.x % kUnpackRuns;
    const uint32_t column = first_column + run * kRun;
    if (first_row + row < weight.rows && column < weight.columns) {
      if (codes != nullptr) {
        const auto wide = load_vector<Words2>(&tile.runs[place_of_run(row, run)]);
        uint32_t* to = codes + (uint64_t{first_row + row} * weight.columns + column) * Bits / 32;
        if constexpr (Bits == 8) {
          store_vector(to, wide);
        } else {
          uint32_t word = 0;
          PRECIS_UNROLL
          for (uint32_t i = 0; i < kRun; ++i)
            word |= (wide.words[i / 4] >> (8 * (i % 4)) & 15u) << (4 * i);
          *to = word;
        }
      }
      if (column % group_size == 0) {
        const uint32_t groups = (weight.columns + group_size - 1) / group_size;
        const bool in_columns = codes == nullptr && kCodesStand<P> != CodesStand::rows;
        const uint64_t place = in_columns
                                   ? uint64_t{column / group_size} * weight.rows + first_row + row
                                   : uint64_t{first_row + row} * groups + column / group_size;
        scales[place] = stored_group_scale<P>(weight, first_row + row, column);
      }
    }
    __syncthreads();
  }
}

inline dim3 unpack_grid(const StoredGroups& weight) {
  const uint32_t tiles = (weight.rows + kUnpackRows - 1) / kUnpackRows;
  return dim3((weight.columns + kUnpackRuns * kRun - 1) / (kUnpackRuns * kRun),
              tiles < 65535 ? tiles : 65535);
}

template <Packing P, class Out>
const char* launch_dequantize_groups(const StoredGroups& weight, bool runs_share, Out* out,
                                     void* stream) {
  return PRECIS_LAUNCH((dequantize_groups_kernel<P, Out>), unpack_grid(weight),
                       dim3(kUnpackThreads), 0, stream, weight, runs_share, out);
}

template <Packing P, int Bits>
const char* launch_repack(const StoredGroups& weight, uint32_t group_size, uint32_t* codes,
                          GroupScale* scales, void* stream) {
  return PRECIS_LAUNCH((repack_kernel<P, Bits>), unpack_grid(weight), dim3(kUnpackThreads), 0,
                       stream, weight, group_size, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
