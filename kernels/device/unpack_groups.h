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

// place(column): the column that takes its place.
template <Packing P, class Place>
PRECIS_FUNCTION void collect_codes(const StoredGroups& weight, uint32_t first_row,
                                   uint32_t first_column, CodeTile& tile, Place place) {
  const uint32_t t = threadIdx.x;
  const uint32_t row = kCodesAlongRows<P> ? t % kUnpackRows : t / kUnpackRuns;
  const uint32_t run = kCodesAlongRows<P> ? t / kUnpackRows : t % kUnpackRuns;
  const uint32_t column = first_column + run * kRun;
  uint32_t words[2] = {};
  if (first_row + row < weight.rows) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      if (column + i < weight.columns)
        words[i / 4] |= stored_code<P>(weight, first_row + row, place(column + i)) << (8 * (i % 4));
  }
  store_vector(&tile.runs[place_of_run(row, run)], Words2{{words[0], words[1]}});
}

struct InPlace {
  PRECIS_FUNCTION uint32_t operator()(uint32_t column) const { return column; }
};

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
    collect_codes<P>(weight, first_row, first_column, tile, InPlace{});
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

// codes[rows][columns * Bits / 32] and scales[rows][groups], or null; where codes stay in columns,
// they are null and scales[groups][rows]. columns and group_size are multiples of 8.
template <Packing P, int Bits, class Place>
PRECIS_FUNCTION void repack_tiles(const StoredGroups& weight, uint32_t group_size, uint32_t* codes,
                                  GroupScale* scales, CodeTile& tile, Place place) {
  const uint32_t first_column = blockIdx.x * kUnpackRuns * kRun;
  for (uint32_t first_row = blockIdx.y * kUnpackRows; first_row < weight.rows;
       first_row += gridDim.y * kUnpackRows) {
    if (codes != nullptr) collect_codes<P>(weight, first_row, first_column, tile, place);
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
      if (scales != nullptr && column % group_size == 0) {
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

template <Packing P, int Bits>
__global__ void __launch_bounds__(kUnpackThreads)
    repack_kernel(PRECIS_PARAMETER StoredGroups weight, uint32_t group_size, uint32_t* codes,
                  GroupScale* scales) {
  PRECIS_SHARED(CodeTile, tile);
  repack_tiles<P, Bits>(weight, group_size, codes, scales, tile, InPlace{});
}

// Column order[i] goes to place i; scales are of groups of neighbouring places.
template <Packing P, int Bits>
__global__ void __launch_bounds__(kUnpackThreads)
    repack_ordered_kernel(PRECIS_PARAMETER StoredGroups weight, const uint32_t* order,
                          uint32_t group_size, uint32_t* codes, GroupScale* scales) {
  PRECIS_SHARED(CodeTile, tile);
  repack_tiles<P, Bits>(weight, group_size, codes, scales, tile,
                        [order](uint32_t column) { return order[column]; });
}

// The scale of each column of HQQ's grouped matrix in the low half of a word, its zero point above,
// both of the dtype that steps are rounded to.
static __global__ void __launch_bounds__(kUnpackThreads)
    pair_scales_kernel(PRECIS_PARAMETER StoredGroups weight, uint32_t* pairs) {
  const uint32_t i = blockIdx.x * kUnpackThreads + threadIdx.x;
  if (i >= weight.grid_columns) return;
  const float scale = load_stored_scale(weight.scale_type, weight.scales, i),
              zero = load_stored_scale(weight.scale_type, weight.zeros, i);
  pairs[i] = weight.arithmetic.rounding == Rounding::half ? pack_half(scale, zero)
                                                          : pack_bfloat16(scale, zero);
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

inline const char* launch_pair_scales(const StoredGroups& weight, uint32_t* pairs, void* stream) {
  return PRECIS_LAUNCH(pair_scales_kernel,
                       dim3((weight.grid_columns + kUnpackThreads - 1) / kUnpackThreads),
                       dim3(kUnpackThreads), 0, stream, weight, pairs);
}

// order: null, or of the columns, for packings along the columns.
template <Packing P, int Bits>
const char* launch_repack(const StoredGroups& weight, const uint32_t* order, uint32_t group_size,
                          uint32_t* codes, GroupScale* scales, void* stream) {
  if constexpr (P == Packing::gptq || P == Packing::gptq_planar) {
    if (order != nullptr)
      return PRECIS_LAUNCH((repack_ordered_kernel<P, Bits>), unpack_grid(weight),
                           dim3(kUnpackThreads), 0, stream, weight, order, group_size, codes,
                           scales);
  }
  return PRECIS_LAUNCH((repack_kernel<P, Bits>), unpack_grid(weight), dim3(kUnpackThreads), 0,
                       stream, weight, group_size, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
