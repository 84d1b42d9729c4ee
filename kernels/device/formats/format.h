// What a weight format supplies; with it come dequantize.h, gemv.h and gemm.h.
//
// A weight has `rows` (out_features) and `columns` (in_features). Kernels take it in runs: 8
// elements of a row that start at a multiple of 8. A format is a struct with
//
//   struct Weight          the pointers and sizes that kernels get by value; has rows and columns
//   struct Table           what unpack looks up in shared memory (may be empty)
//   static void fill(Table&, const Weight&)              by all threads; a block barrier follows
//   struct Run             a run as loaded, in registers
//   static Run load(const Weight&, row, column)          columns is a multiple of 8
//   static Run load_part(const Weight&, row, column, count)   by single bytes: any alignment, and
//                                                        `count` elements from any column on
//   static void unpack(const Table&, const Run&, float (&levels)[8])
//   static Scale scale(const Weight&, const Run&)
//   static float value(const Weight&, float level, Scale)   the decoded element, bit for bit that
//                                                        of kernels/cpu
//   static Rounding rounding(const Weight&)              a last step of values that `value` leaves
//                                                        out. May be left out: none
//   static constexpr bool kAlongRows                     whether runs of neighbouring rows stand
//                                                        side by side: neighbouring threads then
//                                                        take neighbouring rows. May be left out:
//                                                        false
//   static constexpr int kInFlight                       runs that a lane of gemv.h loads at once.
//                                                        May be left out: 4
//   static constexpr int kRowsOfWarp                     rows that a warp of gemv.h takes. May be
//                                                        left out: 2, or 1 where one run is loaded
//   static constexpr bool kShifted                       whether Scale::shift is used
//   static float factor(Scale)                           value ~ factor * level + shift, to within
//                                                        the roundings of `value`
//   struct Row, static Row row(const Weight&, row)       what loads from a row need, and
//   static Run load(const Weight&, const Row&, column, ahead)   the run at column + ahead, where
//                                                        `ahead` is a multiple of 256 that the
//                                                        compiler knows: gemv.h has addresses
//                                                        computed once a row. May be left out
// load and unpack are apart so that kernels can load a tile while they compute on the one before.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr int kRun = 8;

struct Scale {
  float scale, shift;
};

struct NoTable {};

template <class Format>
inline constexpr bool kRunsAlongRows = requires {
  requires Format::kAlongRows;
};

// Of a tile of 8 runs in a row, by 256 threads: the row of this thread's first run, which others
// follow 32 rows apart, and which of the 8 they are.
template <class Format>
PRECIS_FUNCTION uint32_t row_of_thread() {
  return kRunsAlongRows<Format> ? threadIdx.x % 32 : threadIdx.x / 8;
}
template <class Format>
PRECIS_FUNCTION uint32_t run_of_thread() {
  return kRunsAlongRows<Format> ? threadIdx.x / 32 : threadIdx.x % 8;
}

// All eight elements of a run, decoded, but for a rounding to the type that they are stored in:
// storing them rounds them so.
template <class Format, class Stored>
PRECIS_FUNCTION void decode(const typename Format::Weight& weight,
                            const typename Format::Table& table, const typename Format::Run& run,
                            float (&values)[kRun]) {
  float levels[kRun];
  Format::unpack(table, run, levels);
  const Scale scale = Format::scale(weight, run);
  PRECIS_UNROLL
  for (int i = 0; i < kRun; ++i) values[i] = Format::value(weight, levels[i], scale);
  if constexpr (requires { Format::rounding(weight); }) {
    const Rounding rounding = Format::rounding(weight);
    if (rounding != kRoundingTo<Stored>) round_all(rounding, values);
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
