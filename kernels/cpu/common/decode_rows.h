// Decoding by strips that stay in the first-level cache until they are written out.
#pragma once

#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Decodes `count` numbers to `out`: decode(begin, end, float* strip) makes those of [begin, end)
// for begin a multiple of `step`, at most kDecodedAtOnce of them.
template <typename Type, typename Decode>
inline void decode_to(typename Type::Stored* out, uint64_t count, uint64_t step, Decode decode) {
  const bool streamed = count * sizeof(typename Type::Stored) >= kStreamedBytes;
  alignas(64) float strip[kDecodedAtOnce];
  const uint64_t at_once = std::max<uint64_t>(1, kDecodedAtOnce / step) * step;
  for (uint64_t begin = 0; begin < count; begin += at_once) {
    const uint64_t end = std::min(count, begin + at_once);
    if constexpr (std::is_same_v<Type, F32>) {
      if (!streamed) {
        decode(begin, end, out + begin);
        continue;
      }
    }
    decode(begin, end, strip);
    put<Type>(strip, end - begin, out + begin, streamed);
  }
  finish_stream(streamed);
}

// decode_to for numbers that need no conversion: decode(begin, end, Stored* strip).
template <typename Stored, typename Decode>
inline void decode_lines_to(Stored* out, uint64_t count, uint64_t step, Decode decode) {
  if (count * sizeof(Stored) < kStreamedBytes) {
    decode(uint64_t{0}, count, out);
    return;
  }
  alignas(64) Stored strip[kDecodedAtOnce];
  const uint64_t at_once = std::max<uint64_t>(1, kDecodedAtOnce / step) * step;
  for (uint64_t begin = 0; begin < count; begin += at_once) {
    const uint64_t end = std::min(count, begin + at_once);
    decode(begin, end, strip);
    put_lines(strip, end - begin, out + begin);
  }
  finish_stream(true);
}

// Calls decode(row, first column, count, values) for the rows that numbers [begin, end) of rows
// from row_begin on lie in; values: where its share of `values` is.
template <typename Stored, typename Decode>
inline void for_each_row_piece(uint64_t row_begin, uint64_t columns, uint64_t begin, uint64_t end,
                               Stored* values, Decode decode) {
  uint64_t row = row_begin + begin / columns, first = begin % columns;
  while (begin < end) {
    const uint64_t count = std::min(end - begin, columns - first);
    decode(row, first, count, values);
    values += count;
    begin += count;
    ++row;
    first = 0;
  }
}

// Decodes rows [row_begin, row_end) of `columns` numbers to `out`: decode(row, first, count,
// values) makes `count` numbers of a row from column `first` on.
template <typename Type, typename Decode>
inline void decode_rows(typename Type::Stored* out, uint64_t row_begin, uint64_t row_end,
                        uint64_t columns, Decode decode) {
  if (columns == 0) return;
  decode_to<Type>(out, (row_end - row_begin) * columns, 1,
                  [&](uint64_t begin, uint64_t end, float* values) {
                    for_each_row_piece(row_begin, columns, begin, end, values, decode);
                  });
}

// The same for numbers that need no conversion.
template <typename Stored, typename Decode>
inline void decode_row_lines(Stored* out, uint64_t row_begin, uint64_t row_end, uint64_t columns,
                             Decode decode) {
  if (columns == 0) return;
  decode_lines_to(out, (row_end - row_begin) * columns, 1,
                  [&](uint64_t begin, uint64_t end, Stored* values) {
                    for_each_row_piece(row_begin, columns, begin, end, values, decode);
                  });
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
