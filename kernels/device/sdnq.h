// SDNQ's weights on a device: packed integers and floats of 1 to 8 bits in groups, codebooks,
// low-rank parts, rotated columns. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/device/rotation.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

enum class SdnqKind : uint32_t {
  unsigned_integer,
  lowered_integer,  // less 2^(bits - 1)
  int8,
  small_float,  // without infinities and NaNs
  e4m3fn,
  e5m2,
};

struct SdnqNumber {
  SdnqKind kind;
  uint32_t bits;
  // Of small floats; `sign`: whether the top bit is one.
  uint32_t exponent, mantissa;
  bool sign;
};

struct SdnqTensor {
  uint32_t rows, columns;
  SdnqNumber number;
  const uint8_t* codes;   // of the flat weight
  uint32_t byte_step;     // from a packed byte to the next: 8 where each has an int64
  uint32_t groups;        // of a row
  bool whole;             // one row of groups for all rows
  uint32_t levels;        // of a codebook, 2^bits; 1: codes are numbers
  StoredFloats scales;    // [rows][groups][levels]
  StoredFloats zeros;     // [rows][groups]; no data: none
  uint32_t rank;          // 0: no low-rank part
  StoredFloats up, down;  // [rows][rank], [rank][columns]
  Rotation rotation;      // size 0: none
};

// out[rows][columns] of out_type; every step of a low-rank part and of a rotation is rounded to it.
const char* dequantize_sdnq(const SdnqTensor& weight, WeightType out_type, void* out, void* stream);

// Null where linear_sdnq takes the weight: groups of multiples of 8 columns.
const char* check_sdnq_product(const SdnqTensor& weight);

// A low-rank part as products read it, in the dtype of the activations: the rank is a multiple of 8
// there, with zeros beyond its own.
constexpr uint32_t padded_rank(uint32_t rank) {
  return (rank + 7) / 8 * 8;
}
struct SdnqLowRank {
  void* down;  // [padded_rank][columns]
  void* up;    // [rows][padded_rank]
};
const char* lay_out_low_rank(const SdnqTensor& weight, WeightType activation,
                             const SdnqLowRank& part, void* stream);

// The workspace of a product: m rows of rotated x; of x down; and of x with x down behind it.
constexpr uint64_t sdnq_workspace(uint64_t m, uint64_t columns, uint32_t rank, bool rotated) {
  const uint64_t low = padded_rank(rank);
  return m * ((rotated ? columns : 0) + (rank == 0 ? 0 : columns + 2 * low)) * sizeof(uint16_t);
}
constexpr uint64_t sdnq_workspace(uint64_t m, const SdnqTensor& weight) {
  return sdnq_workspace(m, weight.columns, weight.rank, weight.rotation.size != 0);
}

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit; rotated x and x down are rounded to its
// dtype. part: filled by lay_out_low_rank where the weight has one.
const char* linear_sdnq(const SdnqTensor& weight, const SdnqLowRank& part, WeightType activation,
                        const void* x, const void* bias, void* y, uint32_t m, void* workspace,
                        void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
