// What products with a low-rank part read beside the codes: its numbers in the dtype of the
// activations, and x with further columns.
#pragma once

#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kLowRankThreads = 256;

struct LowRankPart {
  uint32_t rows, columns, rank, padded;  // padded: the rank as a multiple of 8
  StoredFloats up, down;                 // [rows][rank], [rank][columns]
};

// A thread an element of down[padded][columns], then of up[rows][padded]: zeros beyond the rank.
template <class Element>
__global__ void __launch_bounds__(kLowRankThreads)
    lay_out_low_rank_kernel(PRECIS_PARAMETER LowRankPart part, Element* down, Element* up) {
  uint64_t i = uint64_t{blockIdx.x} * kLowRankThreads + threadIdx.x;
  const uint64_t of_down = uint64_t{part.padded} * part.columns;
  if (i < of_down) {
    const bool inside = i < uint64_t{part.rank} * part.columns;
    down[i] = from_float<Element>(inside ? load_float(part.down, i) : 0.0f);
    return;
  }
  i -= of_down;
  if (i >= uint64_t{part.rows} * part.padded) return;
  const auto row = static_cast<uint32_t>(i / part.padded),
             r = static_cast<uint32_t>(i % part.padded);
  up[i] = from_float<Element>(r < part.rank ? load_float(part.up, uint64_t{row} * part.rank + r)
                                            : 0.0f);
}

template <class Element>
const char* launch_lay_out_low_rank(const LowRankPart& part, Element* down, Element* up,
                                    void* stream) {
  const uint64_t count = uint64_t{part.padded} * (uint64_t{part.rows} + part.columns);
  if (count == 0) return nullptr;
  return PRECIS_LAUNCH((lay_out_low_rank_kernel<Element>),
                       dim3(static_cast<unsigned>((count + kLowRankThreads - 1) / kLowRankThreads)),
                       dim3(kLowRankThreads), 0, stream, part, down, up);
}

// out[m][columns + more] of 16-bit numbers: x[m][columns], then low[m][more]. Both are multiples of
// 8, of which a thread has as many. Bound by memory.
static __global__ void __launch_bounds__(kLowRankThreads)
    append_columns_kernel(const uint16_t* x, const uint16_t* low, uint32_t columns, uint32_t more,
                          uint32_t m, uint16_t* out) {
  const uint32_t column = (blockIdx.x * kLowRankThreads + threadIdx.x) * 8, all = columns + more;
  if (column >= all) return;
  for (uint32_t row = blockIdx.y; row < m; row += gridDim.y) {
    const uint16_t* from = column < columns ? x + uint64_t{row} * columns + column
                                            : low + uint64_t{row} * more + (column - columns);
    store_vector(out + uint64_t{row} * all + column, load_vector<Words4>(from));
  }
}

inline const char* launch_append_columns(const void* x, const void* low, uint32_t columns,
                                         uint32_t more, uint32_t m, void* out, void* stream) {
  const dim3 grid(((columns + more) / 8 + kLowRankThreads - 1) / kLowRankThreads,
                  m < 65535 ? m : 65535);
  return PRECIS_LAUNCH(append_columns_kernel, grid, dim3(kLowRankThreads), 0, stream,
                       static_cast<const uint16_t*>(x), static_cast<const uint16_t*>(low), columns,
                       more, m, static_cast<uint16_t*>(out));
}

}  // namespace precis::kernels::PRECIS_DEVICE
