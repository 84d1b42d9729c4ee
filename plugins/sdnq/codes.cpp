#include "plugins/sdnq/codes.h"

#include <cmath>

#include "kernels/cpu/common/float8.h"

namespace precis::sdnq {

namespace {

// Where bit `bit` of the number at `index` of a chunk stands, for the widths that fill no power of
// two: the first numbers have the low bits of a byte each, the last ones are spread over the bits
// above.
struct Place {
  uint64_t byte;
  int bit;
};

Place place_of(int bits, uint64_t index, int bit) {
  const Chunk chunk = chunk_of(bits);
  if (index < chunk.bytes) return {index, bit};
  const uint64_t late = index - chunk.bytes;
  switch (bits) {
    case 3:
      if (late < 3) return {late, bit + 3};
      if (bit < 2) return {late - 3, bit + 6};
      return {2, late == 3 ? 6 : 7};
    case 5:
      if (bit < 3) return {late, bit + 5};
      if (late < 2) return {late + 3, bit + 2};
      return bit == 4 ? Place{3, 7} : Place{4, 7};
    case 6:
      return {2 - static_cast<uint64_t>(bit / 2), 6 + bit % 2};
    default:  // 7
      return {6 - static_cast<uint64_t>(bit), 7};
  }
}

}  // namespace

std::optional<Number> number_of(const std::string& name) {
  Number number;
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32}) {
    const std::string plain = "int" + std::to_string(bits);
    if (name != plain && name != "u" + plain) continue;
    number.bits = bits;
    number.is_unsigned = bits == 1 || name[0] == 'u';
    return number;
  }
  number.integer = false;
  for (const bool is_unsigned : {false, true}) {
    for (int exponent = 1; exponent <= 5; ++exponent) {
      for (int mantissa = 0; mantissa + exponent <= 16; ++mantissa) {
        const int bits = exponent + mantissa + (is_unsigned ? 0 : 1);
        const std::string made = "float" + std::to_string(bits) + "_e" + std::to_string(exponent) +
                                 "m" + std::to_string(mantissa) + (is_unsigned ? "fnu" : "fn");
        if (bits <= 16 && name == made)
          return Number{bits, false, is_unsigned, exponent, mantissa, name == "float8_e4m3fn"};
      }
    }
  }
  if (name == "float8_e5m2") return Number{8, false, false, 5, 2, true};
  if (name == "bool") return Number{0, true, true};
  for (const char* other : {"float16", "bfloat16", "float32", "fp8", "fp16", "float8_e8m0fnu",
                            "float8_e4m3fnuz", "float8_e5m2fnuz"}) {
    if (name == other) return Number{0, false, false, 0, 0, true};
  }
  return std::nullopt;
}

Chunk chunk_of(int bits) {
  const auto width = static_cast<uint64_t>(bits);
  if (8 % bits == 0) return {1, 8 / width};
  return bits == 6 ? Chunk{3, 4} : Chunk{width, 8};
}

uint32_t code_at(const uint8_t* packed, int bits, uint64_t index) {
  const Chunk chunk = chunk_of(bits);
  const uint8_t* bytes = packed + index / chunk.numbers * chunk.bytes;
  const uint64_t inside = index % chunk.numbers;
  if (8 % bits == 0) return bytes[0] >> inside * static_cast<uint64_t>(bits) & ((1u << bits) - 1);
  uint32_t code = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const Place place = place_of(bits, inside, bit);
    code |= (bytes[place.byte] >> place.bit & 1u) << bit;
  }
  return code;
}

float value_of(const Number& number, uint32_t code) {
  if (number.integer) {
    if (number.is_unsigned) return static_cast<float>(code);
    if (number.bits == 8) return static_cast<float>(static_cast<int8_t>(code));
    return static_cast<float>(static_cast<int32_t>(code) - (1 << (number.bits - 1)));
  }
  if (number.of_torch) {
    const auto byte = static_cast<uint8_t>(code);
    return number.exponent == 5 ? kernels::float8_e5m2_to_float(byte)
                                : kernels::float8_e4m3fn_to_float(byte);
  }
  const uint32_t fraction = code & ((1u << number.mantissa) - 1);
  const int power = static_cast<int>(code >> number.mantissa & ((1u << number.exponent) - 1));
  const int bias = (1 << (number.exponent - 1)) - 1;
  const float part = std::ldexp(static_cast<float>(fraction), -number.mantissa);
  const float value =
      power == 0 ? std::ldexp(part, 1 - bias) : std::ldexp(1.0f + part, power - bias);
  const bool negative = !number.is_unsigned && (code >> (number.bits - 1) & 1) != 0;
  return negative ? -value : value;
}

}  // namespace precis::sdnq
