// SVDQuant's weights between their stored orders and rows: decoding, what products read, and the
// activations that they meet.
#pragma once

#include "kernels/device/formats/svdq_rows.h"
#include "kernels/device/nunchaku.h"

namespace precis::kernels::PRECIS_DEVICE {

// For dequantize_elements.h.
struct SvdqElements {
  using Weight = SvdqTensor;
  static PRECIS_FUNCTION double row_scale(const Weight& w, uint32_t row) {
    return double{load_float(w.row_scales, svdq_scale(1, row, 0))} * double{load_float(w.scale, 0)};
  }
  static PRECIS_FUNCTION double scaled_number(const Weight& w, uint32_t row, uint32_t column) {
    const uint32_t code = w.codes[svdq_word(w.columns, row, column)] >> (column % 8 * 4) & 15u;
    const double number = svdq_number(w.nvfp4, code);
    if (!w.nvfp4)
      return number * double{load_float(w.scales, svdq_scale(w.columns / 64, row, column / 64))};
    const uint32_t bits = w.micro_scales[svdq_micro_scale(w.columns / 16, row, column / 16)];
    return number * double{e4m3fn_value(bits)} * row_scale(w, row);
  }
  // Products of two floats are exact in double: only the order of the sum matters.
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& w, uint32_t row, uint32_t column) {
    double sum =
        scaled_number(w, row, column) / double{load_float(w.smooth, svdq_scale(1, column, 0))};
#if !defined(PRECIS_DEVICE_SIMT)
#pragma unroll 1
#endif
    for (uint32_t r = 0; r < w.rank; ++r)
      sum += double{load_float(w.up, svdq_up(w.rank, row, r))} *
             double{load_float(w.down, svdq_down(w.rank, column, r))};
    return static_cast<float>(sum);
  }
};

inline constexpr unsigned kSvdqThreads = 256;

// NaNs are one NaN (SvdqBlocks::kCodes).
PRECIS_FUNCTION float without_payload(float value) {
  return value == value ? value : bits_as<float>(0x7fc00000u);
}

// A thread an element of rows.down, then of rows.up, of rows.smooth and of rows.row_scales.
template <class Element>
__global__ void __launch_bounds__(kSvdqThreads)
    lay_out_svdq_kernel(PRECIS_PARAMETER SvdqTensor w, PRECIS_PARAMETER SvdqRows rows) {
  uint64_t i = uint64_t{blockIdx.x} * kSvdqThreads + threadIdx.x;
  const uint64_t down = uint64_t{w.rank} * w.columns, up = uint64_t{w.rows} * w.rank;
  if (i < down) {
    const auto r = static_cast<uint32_t>(i / w.columns),
               column = static_cast<uint32_t>(i % w.columns);
    static_cast<Element*>(rows.down)[i] =
        from_float<Element>(load_float(w.down, svdq_down(w.rank, column, r)));
    return;
  }
  i -= down;
  if (i < up) {
    const auto row = static_cast<uint32_t>(i / w.rank), r = static_cast<uint32_t>(i % w.rank);
    static_cast<Element*>(rows.up)[i] =
        from_float<Element>(without_payload(load_float(w.up, svdq_up(w.rank, row, r))));
    return;
  }
  i -= up;
  const auto at = static_cast<uint32_t>(i < w.columns ? i : i - w.columns);
  if (i < w.columns)
    rows.smooth[at] = load_float(w.smooth, svdq_scale(1, at, 0));
  else if (at < w.rows)
    rows.row_scales[at] = w.nvfp4 ? static_cast<float>(SvdqElements::row_scale(w, at)) : 1.0f;
}

// out[gridDim.y][columns + rank]: x / smooth, then low.
template <class Element>
__global__ void __launch_bounds__(kSvdqThreads)
    extend_activations_kernel(const Element* x, const float* smooth, const Element* low,
                              uint32_t columns, uint32_t rank, uint32_t m, Element* out) {
  const uint32_t column = (blockIdx.x * kSvdqThreads + threadIdx.x) * 8;
  if (column >= columns + rank) return;
  float divisors[8];
  if (column < columns) load_8(smooth + column, divisors);
  for (uint32_t row = blockIdx.y; row < m; row += gridDim.y) {
    Element* to = out + uint64_t{row} * (columns + rank) + column;
    float values[8];
    load_8(column < columns ? x + uint64_t{row} * columns + column
                            : low + uint64_t{row} * rank + (column - columns),
           values);
    PRECIS_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = column < columns ? values[i] / divisors[i] : values[i];
    store_8(to, values);
  }
}

template <class Element>
const char* launch_lay_out_svdq(const SvdqTensor& w, const SvdqRows& rows, void* stream) {
  const uint64_t count = uint64_t{w.rank} * (w.columns + uint64_t{w.rows}) + w.columns + w.rows;
  if (count == 0) return nullptr;
  return PRECIS_LAUNCH((lay_out_svdq_kernel<Element>),
                       dim3(static_cast<unsigned>((count + kSvdqThreads - 1) / kSvdqThreads)),
                       dim3(kSvdqThreads), 0, stream, w, rows);
}

template <class Element>
const char* launch_extend_activations(const Element* x, const float* smooth, const Element* low,
                                      uint32_t columns, uint32_t rank, uint32_t m, Element* out,
                                      void* stream) {
  if (m == 0 || columns == 0) return nullptr;
  const dim3 grid(((columns + rank) / 8 + kSvdqThreads - 1) / kSvdqThreads, m < 65535 ? m : 65535);
  return PRECIS_LAUNCH((extend_activations_kernel<Element>), grid, dim3(kSvdqThreads), 0, stream, x,
                       smooth, low, columns, rank, m, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
