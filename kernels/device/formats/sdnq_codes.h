// SDNQ's packed codes and what they stand for.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/formats/stored_scales.h"
#include "kernels/device/sdnq.h"

namespace precis::kernels::PRECIS_DEVICE {

// Eight codes, a byte each, of as many packed bytes as a code has bits. Of 3, 5 and 7 bits the
// first codes are the low bits of a byte each, and the last ones are put together from the bits
// above; of 6 bits three are the low bits and the fourth stands above them.
PRECIS_FUNCTION uint64_t sdnq_unpacked(uint32_t bits, uint64_t packed) {
  const auto byte = [&](uint32_t i) { return static_cast<uint32_t>(packed >> (8 * i)) & 255u; };
  uint64_t codes = 0;
  const auto put = [&](uint32_t i, uint32_t code) { codes |= uint64_t{code} << (8 * i); };
  switch (bits) {
    case 3:
      codes = packed & 0x070707u;
      for (uint32_t i = 0; i < 3; ++i) put(3 + i, byte(i) >> 3 & 7u);
      put(6, byte(0) >> 6 | (byte(2) >> 6 & 1u) << 2);
      put(7, byte(1) >> 6 | byte(2) >> 7 << 2);
      return codes;
    case 5:
      codes = packed & 0x1f1f1f1f1full;
      put(5, byte(0) >> 5 | (byte(3) >> 5 & 3u) << 3);
      put(6, byte(1) >> 5 | (byte(4) >> 5 & 3u) << 3);
      put(7, byte(2) >> 5 | byte(4) >> 7 << 3 | byte(3) >> 7 << 4);
      return codes;
    case 6:
      codes = (packed & 0x3f3f3fu) | (packed & 0x3f3f3f000000ull) << 8;
      put(3, byte(2) >> 6 | byte(1) >> 6 << 2 | byte(0) >> 6 << 4);
      put(7, byte(5) >> 6 | byte(4) >> 6 << 2 | byte(3) >> 6 << 4);
      return codes;
    case 7: {
      codes = packed & 0x7f7f7f7f7f7f7full;
      uint32_t last = 0;
      for (uint32_t i = 0; i < 7; ++i) last |= byte(6 - i) >> 7 << i;
      put(7, last);
      return codes;
    }
    case 8:
      return packed;
    default:
      for (uint32_t i = 0; i < 8; ++i)
        put(i, static_cast<uint32_t>(packed >> (i * bits)) & ((1u << bits) - 1));
      return codes;
  }
}

// The codes of run `run` of the flat weight, of which the last may be cut off.
PRECIS_FUNCTION uint64_t sdnq_codes(const SdnqTensor& w, uint64_t run) {
  const uint32_t bits = w.number.bits;
  const uint64_t first = run * bits, total = uint64_t{w.rows} * w.columns * bits / 8;
  const uint8_t* from = w.codes + first * w.byte_step;
  const bool neighbours = w.byte_step == 1 && first + bits <= total;
  if (neighbours && bits == 8) return bits_as<uint64_t>(load_vector<Words2>(from));
  if (neighbours && bits == 4) return sdnq_unpacked(4, load_vector<uint32_t>(from));
  uint64_t packed = 0;
  for (uint32_t i = 0; i < bits; ++i)
    if (first + i < total) packed |= uint64_t{from[i * w.byte_step]} << (8 * i);
  return sdnq_unpacked(bits, packed);
}

PRECIS_FUNCTION float sdnq_value(const SdnqNumber& number, uint32_t code) {
  switch (number.kind) {
    case SdnqKind::unsigned_integer:
      return static_cast<float>(code);
    case SdnqKind::lowered_integer:
      return static_cast<float>(static_cast<int>(code) - (1 << (number.bits - 1)));
    case SdnqKind::int8:
      return static_cast<float>(static_cast<int8_t>(code));
    case SdnqKind::e4m3fn:
      return e4m3fn_value(code);
    case SdnqKind::e5m2: {
      constexpr Float8Codes kCodes{8, 0xff, 1.0f};
      return float8_value(kCodes, code);
    }
    case SdnqKind::small_float:
      break;
  }
  const uint32_t bias = (1u << (number.exponent - 1)) - 1, of_float32 = 127 - bias;
  const uint32_t magnitude = code & ((1u << (number.exponent + number.mantissa)) - 1);
  // Subnormal numbers are whole multiples of the smallest.
  const float value =
      magnitude >> number.mantissa == 0
          ? static_cast<float>(magnitude) * bits_as<float>((of_float32 + 1 - number.mantissa) << 23)
          : bits_as<float>((magnitude << (23 - number.mantissa)) + (of_float32 << 23));
  return number.sign && code >> (number.bits - 1) != 0 ? -value : value;
}

PRECIS_FUNCTION uint64_t sdnq_group(const SdnqTensor& w, uint32_t row, uint32_t column) {
  return uint64_t{w.whole ? 0 : row} * w.groups + column / (w.columns / w.groups);
}

// Elements one by one, with all that may be done to them.
struct SdnqElements {
  using Weight = SdnqTensor;
  static PRECIS_FUNCTION float scaled(const Weight& w, uint32_t row, uint32_t column) {
    const uint64_t element = uint64_t{row} * w.columns + column;
    const auto code = static_cast<uint32_t>(sdnq_codes(w, element / 8) >> (element % 8 * 8)) & 255u;
    const uint64_t group = sdnq_group(w, row, column);
    if (w.levels > 1) return load_float(w.scales, group * w.levels + code);
    const float value = sdnq_value(w.number, code), scale = load_float(w.scales, group);
    return w.zeros.data == nullptr ? value * scale
                                   : fused_multiply_add(value, scale, load_float(w.zeros, group));
  }
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& w, uint32_t row, uint32_t column) {
    const float own = to_float(from_float<Out>(scaled(w, row, column)));
    if (w.rank == 0) return own;
    double sum = 0;
#if !defined(PRECIS_DEVICE_SIMT)
#pragma unroll 1
#endif
    for (uint32_t r = 0; r < w.rank; ++r)
      sum += double{load_float(w.up, uint64_t{row} * w.rank + r)} *
             double{load_float(w.down, uint64_t{r} * w.columns + column)};
    return to_float(from_float<Out>(own + static_cast<float>(sum)));
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
