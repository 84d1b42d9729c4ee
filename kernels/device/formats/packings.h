// How checkpoints store group-wise integers: where the code of an element stands, and the scale and
// the offset of its group. kernels/cpu's gptq, awq, hqq, quanto and torchao have the formats.
#pragma once

#include "kernels/device/formats/grouped.h"
#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

enum class Packing : uint32_t {
  gptq,           // a little-endian bit stream along the columns
  gptq_planar,    // planes of 8, 4, 2 and 1 bits
  awq_gemm,       // nibbles of 8 rows in a word
  awq_gemv,       // nibbles of 8 columns in a word
  awq_gemv_fast,  // nibbles of 4 rows and 64 columns together
  hqq,            // pieces of the grouped matrix share words
  quanto,         // planes of 2 or 4 bits
  torchao_pairs,  // nibbles of 2 columns in a byte
  torchao_tiles,  // tinygemm's tiles of 8 x 128
  bytes,          // one byte an element
};

// A stored weight as kernels get it. What a packing has no use for is 0.
struct StoredGroups {
  uint32_t rows, columns, bits;
  uint32_t group_size;  // columns, or elements of the flat weight (hqq, quanto)
  const void* codes;
  StoredScale scale_type;
  const void* scales;
  const void* zeros;        // null: 0
  const int32_t* group_of;  // gptq: the group of each column; null: column / group_size
  bool zero_less_one;       // gptq
  uint32_t zero_width;      // awq_gemv: words of zero points a row
  uint32_t padded_rows, padded_columns;  // torchao_tiles
  uint32_t grid_columns, packed_rows;    // hqq: of the grouped matrix
  bool groups_are_columns;               // hqq with axis 0
  uint32_t block_rows;                   // bytes: rows with one scale
  uint32_t flip;                         // of a code's bits: signed codes have their sign flipped
  GroupArithmetic arithmetic;
};

PRECIS_FUNCTION uint32_t word_of(const void* words, uint64_t i) {
  return static_cast<const uint32_t*>(words)[i];
}

// Code `i` of 32 in a bit stream whose word w is word(w).
template <class Word>
PRECIS_FUNCTION uint32_t code_of_stream(uint32_t bits, uint32_t i, Word word) {
  const uint32_t position = i * bits, at = position / 32, bit = position % 32;
  uint32_t code = word(at) >> bit;
  if (bit + bits > 32) code |= word(at + 1) << (32 - bit);
  return code & ((1u << bits) - 1);
}

template <class Word>
PRECIS_FUNCTION uint32_t code_of_planes(uint32_t bits, uint32_t i, Word word) {
  uint32_t code = 0, first = 0, bit = 0;
  for (uint32_t width = 8; width > 0; width /= 2) {
    if ((bits & width) == 0) continue;
    const uint32_t each = 32 / width;
    code |= (word(first + i / each) >> (i % each * width) & ((1u << width) - 1)) << bit;
    first += width;
    bit += width;
  }
  return code;
}

// Zero points stored less one: one addition for a whole word where fields divide it, carries
// included, as GPTQModel converts between its versions.
PRECIS_FUNCTION uint32_t ones_of_fields(uint32_t bits) {
  return bits == 2 ? 0x55555555u : bits == 4 ? 0x11111111u : bits == 8 ? 0x01010101u : 0u;
}

template <bool Planar>
PRECIS_FUNCTION uint32_t gptq_zero(const StoredGroups& w, uint32_t row, uint32_t group) {
  const uint64_t first = (uint64_t{group} * w.rows + row) / 32 * w.bits;
  const uint32_t ones = w.zero_less_one ? ones_of_fields(w.bits) : 0;
  const auto word = [&](uint32_t i) { return word_of(w.zeros, first + i) + ones; };
  uint32_t zero;
  if constexpr (Planar)
    zero = code_of_planes(w.bits, row % 32, word);
  else
    zero = code_of_stream(w.bits, row % 32, word);
  return w.zero_less_one && ones == 0 ? (zero + 1) & ((1u << w.bits) - 1) : zero;
}

// The code of an element, `flip` applied.
template <Packing P>
PRECIS_FUNCTION uint32_t stored_code(const StoredGroups& w, uint32_t row, uint32_t column) {
  const auto* bytes = static_cast<const uint8_t*>(w.codes);
  const uint64_t element = uint64_t{row} * w.columns + column;
  uint32_t code = 0;
  if constexpr (P == Packing::gptq || P == Packing::gptq_planar) {
    const uint64_t first = uint64_t{column / 32} * w.bits;
    const auto word = [&](uint32_t i) { return word_of(w.codes, (first + i) * w.rows + row); };
    code = P == Packing::gptq ? code_of_stream(w.bits, column % 32, word)
                              : code_of_planes(w.bits, column % 32, word);
  } else if constexpr (P == Packing::awq_gemm) {
    const uint32_t word = word_of(w.codes, uint64_t{column} * (w.rows / 8) + row / 8);
    code = word >> (4 * awq_nibble_of_row(row)) & 15u;
  } else if constexpr (P == Packing::awq_gemv) {
    code = word_of(w.codes, element / 8) >> (4 * (column % 8)) & 15u;
  } else if constexpr (P == Packing::awq_gemv_fast) {
    const uint32_t within = column % 64;
    const uint64_t word = uint64_t{row / 4} * w.columns + (column - within) + 16 * (row % 4) +
                          8 * (within / 32) + 2 * (within / 2 % 4) + within % 2;
    code = static_cast<const uint16_t*>(w.codes)[word] >> (4 * (within / 8 % 4)) & 15u;
  } else if constexpr (P == Packing::hqq) {
    const uint64_t grid_row = element / w.grid_columns, at = element % w.grid_columns;
    const auto piece = static_cast<uint32_t>(grid_row / w.packed_rows);
    const uint64_t word = grid_row % w.packed_rows * w.grid_columns + at;
    const uint32_t pieces = w.bits == 3 ? 10 : 8 / w.bits, shift = w.bits * (pieces - 1 - piece);
    code = (w.bits == 3 ? word_of(w.codes, word) : bytes[word]) >> shift & ((1u << w.bits) - 1);
  } else if constexpr (P == Packing::quanto) {
    const auto group = static_cast<uint32_t>(element / w.group_size);
    const uint64_t byte = uint64_t{group % w.packed_rows} * w.group_size + element % w.group_size;
    code = static_cast<uint32_t>(bytes[byte]) >> (group / w.packed_rows * w.bits) &
           ((1u << w.bits) - 1);
  } else if constexpr (P == Packing::torchao_pairs) {
    code = static_cast<uint32_t>(bytes[element / 2]) >> (column % 2 * 4) & 15u;
  } else if constexpr (P == Packing::torchao_tiles) {
    const uint32_t within = column % 32, lane = 4 * (row % 8) + within / 2 % 4;
    const uint64_t tile = uint64_t{row / 8} * (w.padded_columns / 128) + column / 128;
    const uint32_t word = word_of(w.codes, (tile * 32 + lane) * 4 + column % 128 / 32);
    code = word >> (4 * (within / 8 + 4 * (within % 2))) & 15u;
  } else {
    code = bytes[element];
  }
  return code ^ w.flip;
}

template <Packing P>
PRECIS_FUNCTION GroupScale stored_group_scale(const StoredGroups& w, uint32_t row,
                                              uint32_t column) {
  const uint64_t element = uint64_t{row} * w.columns + column;
  constexpr bool kMayScatter = P == Packing::gptq || P == Packing::gptq_planar;
  const uint32_t group = kMayScatter && w.group_of != nullptr
                             ? static_cast<uint32_t>(w.group_of[column])
                             : column / w.group_size;
  const auto scale = [&](uint64_t i) { return load_stored_scale(w.scale_type, w.scales, i); };
  const auto zero = [&](uint64_t i) { return load_stored_scale(w.scale_type, w.zeros, i); };
  const uint64_t by_group = uint64_t{group} * w.rows + row;
  if constexpr (P == Packing::gptq || P == Packing::gptq_planar) {
    const uint32_t stored = gptq_zero<P == Packing::gptq_planar>(w, row, group);
    return {scale(by_group), static_cast<float>(stored)};
  } else if constexpr (P == Packing::awq_gemm) {
    const uint32_t word = word_of(w.zeros, uint64_t{group} * (w.rows / 8) + row / 8);
    return {scale(by_group), static_cast<float>(word >> (4 * awq_nibble_of_row(row)) & 15u)};
  } else if constexpr (P == Packing::awq_gemv) {
    const uint32_t word = word_of(w.zeros, uint64_t{row} * w.zero_width + group / 8);
    return {scale(uint64_t{row} * 8 * w.zero_width + group),
            static_cast<float>(word >> (4 * (group % 8)) & 15u)};
  } else if constexpr (P == Packing::hqq) {
    const uint64_t i = w.groups_are_columns ? element % w.grid_columns : element / w.grid_columns;
    const Rounding compute = w.arithmetic.rounding;
    return {round_to(compute, scale(i)), round_to(compute, zero(i))};
  } else if constexpr (P == Packing::quanto) {
    return {scale(element / w.group_size), -zero(element / w.group_size)};
  } else if constexpr (P == Packing::torchao_tiles) {
    const uint64_t i = (uint64_t{group} * w.padded_rows + row) * 2;
    return {scale(i), scale(i + 1)};
  } else if constexpr (P == Packing::bytes) {
    const uint64_t i = uint64_t{row / w.block_rows} * (w.columns / w.group_size) + group;
    const auto* zeros = static_cast<const int8_t*>(w.zeros);
    return {scale(i), zeros == nullptr ? 0.0f : static_cast<float>(zeros[i])};
  } else {
    return {scale(by_group), zero(by_group)};
  }
}

// Whether neighbouring threads should take neighbouring rows, whose codes stand side by side.
template <Packing P>
inline constexpr bool kCodesAlongRows =
    P == Packing::gptq || P == Packing::gptq_planar || P == Packing::awq_gemm;

// Whether products read the codes where they are, and how those stand (formats/grouped.h).
template <Packing P>
inline bool codes_in_place(const StoredGroups& w) {
  // Of 4 or 8 bits a bit stream and planes are the same.
  if (P == Packing::gptq || P == Packing::gptq_planar) return w.bits == 4 || w.bits == 8;
  return P == Packing::awq_gemm || P == Packing::awq_gemv || P == Packing::torchao_pairs ||
         P == Packing::bytes;
}
template <Packing P>
inline constexpr CodesStand kCodesStand =
    P == Packing::gptq || P == Packing::gptq_planar ? CodesStand::columns
    : P == Packing::awq_gemm                        ? CodesStand::columns_of_words
                                                    : CodesStand::rows;

// Whether the offset is added to the product.
template <Packing P>
inline constexpr bool kOffsetAdded = P == Packing::awq_gemv_fast || P == Packing::quanto ||
                                     P == Packing::torchao_pairs || P == Packing::torchao_tiles;

}  // namespace precis::kernels::PRECIS_DEVICE
